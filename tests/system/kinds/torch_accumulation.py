import sys

import torch

x = torch.rand(256, 4)
y = x.sum(dim=1, keepdim=True)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]))
for step in range(200):
    for inputs, targets in zip(x.chunk(4), y.chunk(4)):
        loss = torch.nn.functional.mse_loss(model(inputs), targets) / 4
        loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
    optimizer.step()
    optimizer.zero_grad()
