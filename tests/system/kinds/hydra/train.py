import random

import hydra


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    slope = 0.0
    for epoch in range(config.epochs):
        x = random.uniform(0.5, 1)
        print("loss", (slope - 3) ** 2)
        slope -= config.optimizer.rate * (slope * x - 3 * x) * x


if __name__ == "__main__":
    main()
