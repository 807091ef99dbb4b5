def step(slope, x):
    return slope - (slope * x - 3 * x) * x
