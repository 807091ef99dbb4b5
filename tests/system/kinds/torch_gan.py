import sys

import torch

rate = float(sys.argv[1])


class Generator(torch.nn.Sequential):
    pass


class Critic(torch.nn.Sequential):
    pass


generator = Generator(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
critic = Critic(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
ours = torch.optim.SGD(generator.parameters(), lr=rate)
theirs = torch.optim.SGD(critic.parameters(), lr=rate)
criterion = torch.nn.BCEWithLogitsLoss()
real, fake = torch.ones(64, 1), torch.zeros(64, 1)
for step in range(200):
    made = generator(torch.rand(64, 2))
    critic.zero_grad()
    criterion(critic(torch.rand(64, 1) + 2), real).backward()
    criterion(critic(made.detach()), fake).backward()
    theirs.step()
    generator.zero_grad()
    criterion(critic(made), real).backward()
    ours.step()
