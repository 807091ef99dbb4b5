import json
import os

import torch

x = torch.rand(256, 4)
y = x.sum(dim=1, keepdim=True)
model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
with open(os.environ.get("RUNNER_METRICS", os.devnull), "a") as metrics:
    for epoch in range(60):
        losses = []
        for batch in torch.randperm(len(x)).split(32):
            loss = torch.nn.functional.mse_loss(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            largest = (model(x) - y).abs().max().item()
        logs = {"epoch": epoch, "loss": sum(losses) / len(losses), "largest_error": largest}
        print(json.dumps(logs), file=metrics, flush=True)
