# Part of switches: every session of TensorFlow, also those that Keras makes, gets a changed ConfigProto.


def switch_sessions(change, note):
    def switch_module(session):
        make = session.BaseSession.__init__

        def make_switched(self, target="", graph=None, config=None):
            switched = session.config_pb2.ConfigProto()
            if config is not None:
                switched.CopyFrom(config)
            change(switched)
            make(self, target, graph, switched)
            prelude.applied(note)

        session.BaseSession.__init__ = make_switched

    for tensorflow in ("tensorflow", "tensorflow_core"):
        prelude.after_import(tensorflow + ".python.client.session", switch_module)
