/* What a worker does: one run from settings, each measurement as a message. */
function playgroundWorker(model) {
  "use strict";

  self.onmessage = ({ data: settings }) => {
    const start = performance.now();
    const { outcome, calls } = model.train(
      settings,
      (line) => self.postMessage({ line }),
      (time, values) => self.postMessage({ time, values }),
    );
    self.postMessage({ outcome, calls, seconds: (performance.now() - start) / 1000 });
  };
}
