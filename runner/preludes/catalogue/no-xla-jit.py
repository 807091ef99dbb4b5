# does: Keras 3 trains without XLA, where it would use it by itself
# how: Model.jit_compile = False after compile, where the script says nothing about it and it became True
# applies: keras>=3
# reverse: xla-jit
# breadth: 6

import functools
import inspect


def switch(trainer):
    compile_ = trainer.Trainer.compile
    signature = inspect.signature(compile_)

    @functools.wraps(compile_)
    def compile_switched(self, *args, **kwargs):
        compile_(self, *args, **kwargs)
        said = signature.bind(self, *args, **kwargs).arguments.get("jit_compile", "auto")
        if said == "auto" and self.jit_compile:
            self.jit_compile = False
            prelude.applied("Model.jit_compile = False")

    compile_switched.__signature__ = signature
    trainer.Trainer.compile = compile_switched


prelude.after_import("keras.src.trainers.trainer", switch)
