import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { HealthState } from "../src/health.ts";
import { Patient } from "./support/patient.ts";

const RULES: Record<string, { events: (patient: Patient) => void; state: HealthState }> = {
  "a new analyzer is healthy at once": { events: () => {}, state: "healthy" },
  "2 failed probes eject nobody": { events: (p) => p.probe(false, 2), state: "healthy" },
  "3 failed probes in a row eject": { events: (p) => p.probe(false, 3), state: "ejected" },
  "a good probe ends a row of failed ones": {
    events: (p) => p.probe(false, 2).probe(true).probe(false, 2),
    state: "healthy",
  },
  "successful attempts do not end a row of failed probes": {
    events: (p) => p.probe(false, 2).succeed(9).probe(false),
    state: "ejected",
  },
  "2 refused connections eject nobody": { events: (p) => p.fail("connect", 2), state: "healthy" },
  "3 refused connections in a row eject": { events: (p) => p.fail("connect", 3), state: "ejected" },
  "3 broken answers in a row eject": { events: (p) => p.fail("broken", 3), state: "ejected" },
  "3 timeouts in a row eject": { events: (p) => p.fail("timeout", 3), state: "ejected" },
  "refused connections and timeouts make one row": {
    events: (p) => p.fail("connect").fail("timeout").fail("connect"),
    state: "ejected",
  },
  "a success ends a row of connection failures": {
    events: (p) => p.fail("connect", 2).succeed().fail("connect", 2),
    state: "healthy",
  },
  "any answer ends a row of connection failures": {
    events: (p) => p.fail("connect", 2).fail("http_5xx").fail("connect", 2),
    state: "healthy",
  },
  "good probes do not end a row of failed attempts": {
    events: (p) => p.fail("timeout", 2).probe(true, 9).fail("timeout"),
    state: "ejected",
  },
  "a suspect packet's refused connection counts: it never arrived": {
    events: (p) => p.fail("connect", 3, { suspectPacket: true }),
    state: "ejected",
  },
  "the connection class may eject the last": {
    events: (p) => p.fail("connect", 3, { mayEject: false }),
    state: "ejected",
  },
  "4 times 5xx eject nobody": { events: (p) => p.fail("http_5xx", 4), state: "healthy" },
  "5 times 5xx in a row eject": { events: (p) => p.fail("http_5xx", 5), state: "ejected" },
  "5 times 401, 403 or 404 in a row eject": {
    events: (p) => p.fail("http_4xx", 5),
    state: "ejected",
  },
  "5xx and 4xx make one row": {
    events: (p) => p.fail("http_5xx", 2).fail("http_4xx", 3),
    state: "ejected",
  },
  "a success ends a row of 5xx": {
    events: (p) => p.fail("http_5xx", 4).succeed().fail("http_5xx", 4),
    state: "healthy",
  },
  "5xx on 2 packets alone eject nobody": {
    events: (p) =>
      p.fail("http_5xx", 50, { packetId: "a" }).fail("http_5xx", 50, { packetId: "b" }),
    state: "healthy",
  },
  "5xx on 3 packets eject": {
    events: (p) =>
      p.fail("http_5xx", 3, { packetId: "a" }).fail("http_5xx", 1, { packetId: "b" })
        .fail("http_5xx", 1, { packetId: "c" }),
    state: "ejected",
  },
  "a poison packet, failing here for ever, never ejects": {
    events: (p) => p.fail("http_5xx", 1000, { packetId: "poison" }),
    state: "healthy",
  },
  "packets that failed elsewhere too never eject": {
    events: (p) => p.fail("http_5xx", 1000, { suspectPacket: true }),
    state: "healthy",
  },
  "the 5xx class ejects nobody where it may not": {
    events: (p) => p.fail("http_5xx", 1000, { mayEject: false }),
    state: "healthy",
  },
  "an attempt begun before registration says nothing": {
    events: (p) => p.fail("connect", 9, { startedMs: 999 }),
    state: "healthy",
  },
  "time alone never readmits": {
    events: (p) => p.fail("connect", 3).wait(100_000),
    state: "ejected",
  },
  "good probes do not readmit before the ejection's time": {
    events: (p) => p.fail("http_5xx", 5).wait(4.999).probe(true, 9),
    state: "ejected",
  },
  "1 good probe after it does not readmit": {
    events: (p) => p.fail("http_5xx", 5).wait(5).probe(true),
    state: "ejected",
  },
  "2 good probes after it lead to probation": {
    events: (p) => p.fail("http_5xx", 5).wait(5).probe(true, 2),
    state: "probation",
  },
  "good probes within its time count, once it is over": {
    events: (p) => p.fail("http_5xx", 5).probe(true, 2).wait(5).probe(true),
    state: "probation",
  },
  "a failed probe between them does not": {
    events: (p) => p.fail("http_5xx", 5).wait(5).probe(true).probe(false).probe(true),
    state: "ejected",
  },
  "a late success while ejected readmits nobody": {
    events: (p) => p.fail("connect", 3).succeed(9),
    state: "ejected",
  },
  "2 successes do not end probation": {
    events: (p) => p.fail("connect", 3).toProbation().succeed(2),
    state: "probation",
  },
  "3 successes end probation": {
    events: (p) => p.fail("connect", 3).toProbation().succeed(3),
    state: "healthy",
  },
  "so do 3 good probes, where there is no traffic": {
    events: (p) => p.fail("connect", 3).toProbation().probe(true, 3),
    state: "healthy",
  },
  "1 refused connection in probation ejects again": {
    events: (p) => p.fail("connect", 3).toProbation().succeed(2).fail("connect"),
    state: "ejected",
  },
  "1 times 5xx in probation ejects again": {
    events: (p) => p.fail("connect", 3).toProbation().fail("http_5xx"),
    state: "ejected",
  },
  "1 failed probe in probation ejects again": {
    events: (p) => p.fail("connect", 3).toProbation().probe(false),
    state: "ejected",
  },
  "5xx in probation where none may eject only begins probation anew": {
    events: (p) =>
      p.fail("connect", 3).toProbation().succeed(2).fail("http_5xx", 1, { mayEject: false })
        .succeed(2),
    state: "probation",
  },
  "a suspect packet's 5xx does not fail probation": {
    events: (p) =>
      p.fail("connect", 3).toProbation().succeed(2).fail("http_5xx", 9, { suspectPacket: true })
        .succeed(),
    state: "healthy",
  },
  "a suspect packet's broken connection does not count: it may have broken it": {
    events: (p) => p.fail("timeout", 1000, { suspectPacket: true }),
    state: "healthy",
  },
  "a suspect packet's broken connection does not fail probation": {
    events: (p) =>
      p.fail("connect", 3).toProbation().fail("timeout", 9, { suspectPacket: true }).succeed(3),
    state: "healthy",
  },
  "successes of attempts begun before the ejection prove nothing in probation": {
    events: (p) => p.wait(1).fail("connect", 3).toProbation().succeed(9, 1500),
    state: "probation",
  },
  "nor do they, begun before the last change, end a row of failures": {
    events: (p) =>
      p.fail("connect", 3).toProbation().succeed(3).fail("connect", 2).succeed(9, 1500)
        .fail("connect"),
    state: "ejected",
  },
  "good probes do not end a probation in which an attempt failed": {
    events: (p) =>
      p.fail("connect", 3).toProbation().fail("http_5xx", 1, { mayEject: false }).probe(true, 99),
    state: "probation",
  },
  "successes end it all the same": {
    events: (p) =>
      p.fail("connect", 3).toProbation().fail("http_5xx", 1, { mayEject: false }).succeed(3),
    state: "healthy",
  },
  "the next probation begins afresh": {
    events: (p) =>
      p.fail("connect", 3).toProbation().fail("http_5xx", 1, { mayEject: false }).fail("connect")
        .toProbation().probe(true, 3),
    state: "healthy",
  },
  "an attempt begun before probation does not fail it": {
    events: (p) => p.fail("connect", 3).toProbation().fail("timeout", 9, { startedMs: 1000 }),
    state: "probation",
  },
};

Deno.test("health follows its rules", async (t) => {
  for (const [name, { events, state }] of Object.entries(RULES)) {
    await t.step(name, () => {
      const patient = new Patient();
      events(patient);
      assertEquals(patient.state, state);
    });
  }
});

Deno.test("health.fail() starts its counts afresh after each change of state", () => {
  const patient = new Patient().fail("http_5xx", 4).fail("connect", 3).toProbation().succeed(3);
  patient.fail("http_5xx", 4).fail("connect", 2);
  assertEquals(patient.state, "healthy");
});

Deno.test("health returns each transition once, with its reason", () => {
  const { health } = new Patient();
  const failure = (packetId: string) => ({
    class: "connect" as const,
    detail: "refused",
    packetId,
    gone: true,
    startedMs: 1000,
    suspectPacket: false,
    mayEject: true,
  });
  assertEquals(health.reason, "registered");
  assertEquals([health.fail(failure("a"), 1000), health.fail(failure("b"), 1100)], [
    undefined,
    undefined,
  ]);
  const reason = "3 failures in a row, the last: refused";
  assertEquals(health.fail(failure("c"), 1200), { from: "healthy", to: "ejected", reason });
  assertEquals([health.sinceMs, health.reason], [1200, reason]);
  assertEquals(health.fail(failure("d"), 1300), undefined);
  assertEquals(health.probeSucceeded(9000), undefined);
  assertEquals(health.probeSucceeded(9100)?.to, "probation");
  assertEquals(health.probeFailed("HTTP 500", 9200), {
    from: "probation",
    to: "ejected",
    reason: "health check failed: HTTP 500",
  });
});

Deno.test("health ejects for 5 s, doubling to 60 s, with up to 20 % more at random", () => {
  for (const [chance, factor] of [[0, 1], [0.5, 1.1], [0.999_999_999, 1.2]] as const) {
    const patient = new Patient({}, () => chance).fail("connect", 3);
    for (const seconds of [5, 10, 20, 40, 60, 60]) {
      assertAlmostEquals(patient.sentenceSeconds, seconds * factor, 1e-5);
      patient.toProbation().fail("connect");
      assertEquals(patient.state, "ejected");
    }
  }
});

Deno.test("health forgets one ejection for each healthy minute", () => {
  const cases = [[59, 20], [60, 10], [119, 10], [120, 5], [1000, 5]] as const;
  for (const [healthySeconds, sentence] of cases) {
    for (const heard of ["attempt", "probe"]) {
      const patient = new Patient().fail("connect", 3).toProbation().fail("connect").toProbation();
      patient.succeed(3).wait(healthySeconds);
      if (heard === "attempt") patient.succeed();
      else patient.probe(true);
      patient.fail("connect", 3);
      assertEquals(patient.sentenceSeconds, sentence, `${healthySeconds} s, ${heard}`);
    }
  }
});

Deno.test("health forgets nothing while ejected, whatever late answers come", () => {
  const patient = new Patient().fail("connect", 3).toProbation().succeed(3);
  patient.wait(10).fail("connect", 3).wait(500).succeed(9);
  assertEquals(patient.toProbation().fail("connect").sentenceSeconds, 20);
});

Deno.test("health.weightFactor() is 0 while ejected, 1 in probation, then 10 % to 100 % in 30 s", () => {
  const patient = new Patient();
  const factor = () => patient.health.weightFactor(patient.nowMs);
  assertEquals(factor(), 1, "no slow start at the start");
  patient.fail("connect", 3);
  assertEquals(factor(), 0);
  patient.toProbation();
  assertEquals(factor(), 1);
  patient.succeed(3);
  for (const expected of [0.1, 0.4, 0.7]) {
    assertAlmostEquals(factor(), expected);
    assert(patient.health.isRamping(patient.nowMs));
    patient.wait(10);
  }
  assertEquals(factor(), 1);
  assert(!patient.health.isRamping(patient.nowMs));
});

Deno.test("health.weightFactor() is 1 at once without a slow start", () => {
  const patient = new Patient({ slowStartMs: 0 }).fail("connect", 3).toProbation().succeed(3);
  assertEquals(patient.health.weightFactor(patient.nowMs), 1);
  assert(!patient.health.isRamping(patient.nowMs));
});

Deno.test("health.inTransition asks for probes until all is well", () => {
  const patient = new Patient();
  assert(!patient.health.inTransition);
  assert(patient.probe(false).health.inTransition, "a failed probe");
  assert(!patient.probe(true).health.inTransition);
  assert(patient.fail("connect", 3).health.inTransition, "ejected");
  assert(patient.toProbation().health.inTransition, "probation");
  assert(!patient.succeed(3).health.inTransition, "slow start needs no probes");
});

Deno.test("health tells whether it is out for its answers", () => {
  const rows: [name: string, patient: Patient, forAnswers: boolean][] = [
    ["healthy", new Patient().fail("http_5xx", 4), false],
    ["5xx", new Patient().fail("http_5xx", 5), true],
    ["4xx", new Patient().fail("http_4xx", 5), true],
    ["refused", new Patient().fail("connect", 3), false],
    ["too late", new Patient().fail("timeout", 3), false],
    ["probes", new Patient().probe(false, 3), false],
    ["5xx on trial", new Patient().fail("connect", 3).toProbation().fail("http_5xx"), true],
    ["refused on trial", new Patient().fail("http_5xx", 5).toProbation().fail("connect"), false],
    ["on trial", new Patient().fail("http_5xx", 5).toProbation(), false],
  ];
  for (const [name, { health }, forAnswers] of rows) {
    assertEquals(health.isEjectedForAnswers, forAnswers, name);
  }
});
