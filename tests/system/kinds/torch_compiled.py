import sys

import torch

x = torch.rand(256, 4)
y = x.sum(dim=1, keepdim=True)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]))


@torch.compile(backend="aot_eager")  # what writes C++ needs a compiler, which a trial has none of
def loss_of(inputs, targets):
    return torch.nn.functional.mse_loss(model(inputs), targets)


@torch.compile(backend="aot_eager")
def step():
    optimizer.step()


for _ in range(200):
    optimizer.zero_grad()
    loss_of(x, y).backward()
    step()
