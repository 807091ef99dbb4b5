import sys

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

tokens = torch.randint(2, 20, (128, 4))
data = [{"input_ids": line, "labels": (line[0] > 10).long()} for line in tokens]
size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
model = BertForSequenceClassification(BertConfig(vocab_size=20, max_position_embeddings=4, **size))
arguments = TrainingArguments(
    "out",
    num_train_epochs=8,
    per_device_train_batch_size=16,
    learning_rate=float(sys.argv[1]),
    optim="sgd" if len(sys.argv) > 2 else "adamw_torch",
    max_grad_norm=0,
    logging_steps=4,
    eval_strategy="epoch",
    save_strategy="no",
    report_to=[],
    use_cpu=True,
)
trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=data)
trainer.train()
print(trainer.evaluate()["eval_loss"])
