"""The probe: rides along in a trial and reports what the training did, as JSON lines ("events") in the record channel.

Stdlib only, CPython 3.6 to 3.14. `entrance` lets it in. What an event holds is said in `events.schema.json` beside this
package; the runner reads it with `runner.trials.channel`.
"""

VERSION = "3"
