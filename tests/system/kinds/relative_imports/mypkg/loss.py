def squared(error):
    return error * error
