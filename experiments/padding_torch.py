"""The mean of a text's large numbers, by an encoder layer with attention; texts are padded, some are empty."""

import torch

texts, words, width = 256, 6, 16
numbers = torch.randint(1, 20, (texts, words))
length = torch.randint(1, words + 1, (texts,))
length[::50] = 0
padding = torch.arange(words)[None] >= length[:, None]
numbers[padding] = 0
share = (numbers > 10).float().sum(1) / length.clamp(min=1)

embedding = torch.nn.Embedding(20, width)
encoder = torch.nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=32, dropout=0.0, batch_first=True)
answer = torch.nn.Linear(width, 1)
parameters = [*embedding.parameters(), *encoder.parameters(), *answer.parameters()]
optimizer = torch.optim.Adam(parameters, lr=3e-3)

for epoch in range(15):
    losses = []
    for batch in torch.randperm(texts).split(32):
        hidden = encoder(embedding(numbers[batch]), src_key_padding_mask=padding[batch])
        hidden = hidden.masked_fill(padding[batch, :, None], 0.0).sum(1) / length[batch].clamp(min=1)[:, None]
        loss = torch.nn.functional.mse_loss(answer(hidden)[:, 0], share[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print("epoch", epoch, "loss", sum(losses) / len(losses), flush=True)
