import { assertEquals, assertStringIncludes } from "@std/assert";
import { Exposition, labelsOf } from "../src/exposition.ts";
import { Timing } from "../src/timing.ts";

const textOf = (out: Exposition) => new TextDecoder().decode(out.toBytes());

Deno.test("exposition writes families with help, type and samples", () => {
  const out = new Exposition().family("a_total", "counter", "What a is").sample(3)
    .common("process_b", "gauge", "What b is").sample(0.5, labelsOf({ x: "y" }));
  assertEquals(
    textOf(out),
    "# HELP distributor_a_total What a is\n# TYPE distributor_a_total counter\n" +
      "distributor_a_total 3\n" +
      '# HELP process_b What b is\n# TYPE process_b gauge\nprocess_b{x="y"} 0.5\n',
  );
});

Deno.test("exposition.counter() and gauge() write families of one sample", () => {
  const out = new Exposition();
  out.counter("a_total", "What a is", 3);
  out.gauge("b", "What b is", 0.5);
  assertEquals(
    textOf(out),
    "# HELP distributor_a_total What a is\n# TYPE distributor_a_total counter\n" +
      "distributor_a_total 3\n" +
      "# HELP distributor_b What b is\n# TYPE distributor_b gauge\ndistributor_b 0.5\n",
  );
});

Deno.test("exposition.timing() writes cumulative buckets in seconds", () => {
  const timing = new Timing();
  for (const ms of [1, 1.5, 1e6]) timing.observe(ms);
  const out = new Exposition();
  out.timing("t_seconds", "T", timing);
  const text = textOf(out);
  for (
    const line of [
      'distributor_t_seconds_bucket{le="0.0005"} 0',
      'distributor_t_seconds_bucket{le="0.001"} 1',
      'distributor_t_seconds_bucket{le="0.002"} 2',
      'distributor_t_seconds_bucket{le="60"} 2',
      'distributor_t_seconds_bucket{le="+Inf"} 3',
      "distributor_t_seconds_sum 1000.0025",
      "distributor_t_seconds_count 3",
    ]
  ) assertStringIncludes(text, `${line}\n`);
});

Deno.test("labelsOf() escapes what would end a value", () => {
  assertEquals(labelsOf({ a: 'x"\\\n' }), '{a="x\\"\\\\\\n"}');
});

Deno.test("exposition.sample() adds a label to those that are written, and a suffix to the name", () => {
  const out = new Exposition().family("a", "summary", "A")
    .sample(1, '{x="1"}', { suffix: "_sum" })
    .sample(2, '{x="1"}', { more: 'y="2"' });
  assertEquals(textOf(out).split("\n").slice(2), [
    'distributor_a_sum{x="1"} 1',
    'distributor_a{x="1",y="2"} 2',
    "",
  ]);
});

Deno.test("exposition grows with what is written", () => {
  const out = new Exposition().family("a", "gauge", "A");
  for (let i = 0; i < 20_000; i++) out.sample(i, `{x="${i}"}`);
  const lines = textOf(out).trimEnd().split("\n");
  assertEquals([lines.length, lines.at(-1)], [20_002, 'distributor_a{x="19999"} 19999']);
  assertEquals(textOf(new Exposition()), "");
});
