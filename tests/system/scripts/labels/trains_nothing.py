print("nothing was trained")
