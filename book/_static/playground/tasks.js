/* Five small tasks.  Each trains runs that differ from the default in `runs`, and answers from what
   these measured at their end: nothing of an answer is known before. */
const playgroundTasks = (() => {
  "use strict";

  const { n } = playgroundModel().defaults, third = 20 * Math.round(n / 60);
  const percent = (v) => `${Math.round(100 * v)} %`.replace("-", "−");
  const number = (v) => (v < 0.001 ? "below 0.001" : String(Number(v.toPrecision(2))));
  const times = (v) => `${v.toFixed(1)} times`;

  /* "f_L has 41 % of it and f_Q 53 %." */
  const who = (run, part) =>
    `f_L has ${percent(run[`linear_${part}`])} of it and f_Q ${percent(run[`quadratic_${part}`])}`;

  const whole = (run, part) => run[`linear_${part}`] + run[`quadratic_${part}`];

  return { number, percent, list: [
    {
      title: "Switch R_2 off",
      question: "Without the penalty, who learns the sparse part?",
      runs: [{ lambda: 0 }, {}],
      answer(off, on) {
        const missing = whole(off, "sparse") < 0.6;
        return `Without R_2: ${who(off, "sparse")}. ${missing ? "Much of it is learned by nobody, "
          + "and yet the training loss is gone: f_L has memorised." : "Most of it is learned."} `
          + `With R_2: ${who(on, "sparse")}. The test loss ends at ${number(off.test)} without and `
          + `at ${number(on.test)} with it, ${times(off.test / on.test)} lower.`;
      },
    },
    {
      title: "Only f_L",
      question: "Let f_L fit alone, a kernel method. Does the joint model without R_2 end anywhere "
        + "else?",
      runs: [{ model: "linear", lambda: 0 }, { lambda: 0 }, {}],
      answer(alone, off, on) {
        const same = Math.abs(alone.test / off.test - 1) < 0.15;
        return `${same ? "Hardly" : "Yes"}: f_L alone ends at a test loss of ${number(alone.test)}, `
          + `f_L + f_Q without R_2 at ${number(off.test)}. There f_Q is`
          + `${Math.abs(off.quadratic_sparse) < 0.1 ? " left with next to nothing to do" : " at work"}`
          + ` (${percent(off.quadratic_sparse)} of the sparse part); with R_2 it has `
          + `${percent(on.quadratic_sparse)}, and the test loss is ${number(on.test)}.`;
      },
    },
    {
      title: "Only f_Q",
      question: "Let f_Q fit alone. Which part does it miss, and is it better than both together?",
      runs: [{ model: "quadratic" }, {}],
      answer(alone, both) {
        const [dense, sparse] = [alone.quadratic_dense, alone.quadratic_sparse];
        return `It has ${percent(dense)} of the dense and ${percent(sparse)} of the sparse part: `
          + `${Math.max(dense, sparse) < 0.7 ? "from so few inputs, neither." : "one of the two."} `
          + `Its test loss is ${number(alone.test)}, that of both together ${number(both.test)}: `
          + `${alone.test > both.test ? "each term does what it is good at." : "alone it is better."}`;
      },
    },
    {
      title: "An odd activation",
      question: "With erf, f_L and f_Q are odd functions of x. The sparse part is even: who learns "
        + "it now?",
      runs: [{ activation: "erf" }, {}],
      answer(odd, sine) {
        const most = Math.max(Math.abs(odd.linear_sparse), Math.abs(odd.quadratic_sparse));
        return `${most < 0.1 ? "Nobody" : "Somebody"}: ${who(odd, "sparse")}. Of the dense part, `
          + `which is odd, ${percent(whole(odd, "dense"))} is learned. Test loss `
          + `${number(odd.test)}; with sin(z + π/4), which is neither odd nor even, `
          + `${number(sine.test)}.`;
      },
    },
    {
      title: "Fewer inputs",
      question: "Train on a third of the inputs. Does R_2 help as much?",
      runs: [{ n: third, lambda: 0 }, { n: third }, { lambda: 0 }, {}],
      answer(fewOff, few, off, on) {
        const [small, large] = [fewOff.test / few.test, off.test / on.test];
        return `${small < 0.8 * large ? "No" : "Yes"}: at n = ${third} the test loss is `
          + `${number(few.test)} with and ${number(fewOff.test)} without R_2, ${times(small)} `
          + `lower; at n = ${n} it is ${times(large)}. With few inputs f_L has `
          + `${percent(few.linear_dense)} of the dense part, with more `
          + `${percent(on.linear_dense)}${small < large ? ": what f_L is to do takes a multiple of d "
            + "inputs" : ""}.`;
      },
    },
  ] };
})();
