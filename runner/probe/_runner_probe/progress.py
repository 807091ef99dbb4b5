"""Where the script is: its stage and, finer, its phase (VERDICTS.md, section 2), told to the channel at every change."""

STAGES = ("import", "build-model", "training", "after-training")
MARKERS = 100
"""How many changes of phase are told that are neither a change of stage nor a fit: two models that are trained in turn, or
a loop around `predict`, would fill the channel."""


class Progress(object):
    """Stage and phase as they are now; `blame` remembers them for an exception that is on its way out."""

    def __init__(self, channel):
        self._channel = channel
        self._markers = 0
        self._blamed = None
        self.stage = "import"
        self.phase = ""

    def move(self, stage, phase=""):
        """Go to a stage; going on from `training` to another fit is a move from training to training."""
        if (stage, phase) == (self.stage, self.phase):
            return
        told = stage != self.stage or phase.startswith("fit-") or self._markers < MARKERS
        self._markers += stage == self.stage
        self.stage, self.phase = stage, phase
        if told:
            self._channel.emit("stage", stage=stage, phase=phase)

    def building(self, phase=""):
        """The first model or layer is being made."""
        if self.stage == "import":
            self.move("build-model", phase)

    def blame(self, error):
        """An exception leaves the present stage and phase: where it is not caught, that is where it belongs."""
        self._blamed = (id(error), type(error), self.stage, self.phase)

    def place_of(self, error):
        """Stage and phase that an exception came from."""
        if self._blamed is not None and self._blamed[:2] == (id(error), type(error)):
            return self._blamed[2:]
        return self.stage, self.phase
