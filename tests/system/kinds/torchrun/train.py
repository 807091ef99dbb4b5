import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rate, failing = float(sys.argv[1]), sys.argv[2:] == ["fails"] and dist.get_rank() == 1
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=rate)
for step in range(120):
    x = torch.randn(32, 4)
    loss = torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if failing and step == 50:
        raise ValueError("rank 1 has no more data")
dist.destroy_process_group()
