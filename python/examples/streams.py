"""Classes of sequences while they arrive, timestep by timestep, several side by side."""

import numpy as np

import lockstep


def main():
    train, test = lockstep.Dataset.builtin("synthetic-control")
    classifier = lockstep.RNNClassifier(hidden=32, epochs=30)
    classifier.fit(list(train), train.labels)

    arriving = np.stack(list(test.subset(range(25, len(test), 50))))
    stream = lockstep.Stream(classifier.model_, sequences=len(arriving))
    for timestep in range(arriving.shape[1]):
        probabilities = stream.feed(arriving[:, timestep])
        if timestep % 15 == 14:
            guesses = [train.class_names[c] for c in probabilities.argmax(axis=1)]
            print(f"after {timestep + 1:2} timesteps: {', '.join(guesses)}")
    # The same bits as for whole sequences.
    assert np.array_equal(probabilities, classifier.predict_proba(arriving))

    # What a sequence has left in the network can be kept, and put back.
    state = stream.state(0)
    stream.reset(0)
    stream.set_state(state, 0)
    assert np.array_equal(stream.outputs(), probabilities)


if __name__ == "__main__":
    main()
