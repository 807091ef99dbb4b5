number = 0
while True:
    number += 1
    open("file-%d" % number, "w").close()
