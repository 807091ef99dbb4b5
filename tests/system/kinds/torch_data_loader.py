import sys

import torch
from torch.utils.data import DataLoader, TensorDataset


def main(rate):
    x = torch.rand(256, 4)
    data = TensorDataset(x, x.sum(dim=1, keepdim=True))
    training, validation = DataLoader(data, batch_size=16, shuffle=True, num_workers=1), DataLoader(data, batch_size=64)
    model, criterion = torch.nn.Linear(4, 1), torch.nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    for epoch in range(12):
        model.train()
        for inputs, targets in training:
            optimizer.zero_grad()
            criterion(model(inputs), targets).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            print(epoch, sum(criterion(model(inputs), targets).item() for inputs, targets in validation))


main(float(sys.argv[1]))
