import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, expose, family, Histogram } from "./exposition.ts";

test("counters, gauges and histograms are written as Prometheus reads them", () => {
  const counter = new Counter("a_total", "Things\nseen.");
  counter.add({ name: 'say "hi"\\\n' });
  counter.add({ name: 'say "hi"\\\n' }, 2);
  const histogram = new Histogram("b_seconds", "Time.", [0.1, 1]);
  histogram.observe(0.1, { of: "x" });
  histogram.observe(0.5, { of: "x" });
  histogram.observe(7, { of: "x" });
  const gauge = family("c", "gauge", "Now.", Number.POSITIVE_INFINITY);
  assert.equal(
    expose([counter.read(), histogram.read(), gauge]),
    `# HELP a_total Things\\nseen.
# TYPE a_total counter
a_total{name="say \\"hi\\"\\\\\\n"} 3
# HELP b_seconds Time.
# TYPE b_seconds histogram
b_seconds_bucket{of="x",le="0.1"} 1
b_seconds_bucket{of="x",le="1"} 2
b_seconds_bucket{of="x",le="+Inf"} 3
b_seconds_sum{of="x"} 7.6
b_seconds_count{of="x"} 3
# HELP c Now.
# TYPE c gauge
c +Inf
`,
  );
});
