/** How long health keeps out one that crashed, restarts or flaps, and when it ends that early. */

import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { Patient } from "./support/patient.ts";

/** Up and down for 3 s each, under traffic: what ejections it collects. */
function flap(patient: Patient, seconds: number): number[] {
  const sentences: number[] = [];
  for (let second = 0; second < seconds; second++) {
    const isUp = second % 6 < 3;
    const before = patient.state;
    patient.wait(1).probe(isUp);
    if (patient.state !== "ejected") {
      if (isUp) patient.succeed(10);
      else patient.fail("connect", 3);
    }
    if (patient.state === "ejected" && before !== "ejected") {
      sentences.push(patient.sentenceSeconds);
    }
  }
  return sentences;
}

Deno.test("health ejects a flapping analyzer, 3 s up and 3 s down, for longer and longer", () => {
  const sentences = flap(new Patient(), 600);
  assertEquals(sentences.slice(0, 6), [5, 10, 20, 40, 60, 60]);
  assertLessOrEqual(sentences.length, 4 + Math.ceil(600 / 60), "ejections in ten minutes");
});

Deno.test("health brings a restarted analyzer to full weight within 45 s, however often ejected", () => {
  for (const ejections of [1, 2, 3, 5, 9]) {
    const patient = new Patient({}, () => 1).fail("connect", 3);
    for (let i = 1; i < ejections; i++) patient.toProbation().fail("connect");
    patient.probeFor(3, false);
    // It answers again just after a probe, and there is no traffic that could speed things up.
    let seconds = 0;
    while (patient.health.weightFactor(patient.nowMs) < 1 || patient.state !== "healthy") {
      patient.wait(1).probe(true);
      seconds++;
      assert(seconds < 100, `${ejections} ejections: still ${patient.state}`);
    }
    assertLessOrEqual(seconds, 44, `${ejections} ejections`);
    assertGreaterOrEqual(seconds, 30, "slow start is kept");
  }
});

Deno.test("health brings back one that crashed within 45 s, even if no probe saw it gone", () => {
  for (const crashes of [1, 2, 3, 5, 9]) {
    const patient = new Patient({}, () => 1).fail("connect", 3);
    for (let i = 1; i < crashes; i++) patient.toProbation().fail("connect");
    assertCrashIsOver(patient, `${crashes} crashes`);
    // Connections that broke are heard of first; that there is no other then comes too late.
    patient.fail("timeout", 3, { gone: true });
    assertCrashIsOver(patient, "what was under way was cut");
    patient.fail("timeout", 3).fail("connect");
    assertCrashIsOver(patient, "the first refusal came after the ejection");
  }
});

function assertCrashIsOver(patient: Patient, name: string): void {
  assertEquals(patient.state, "ejected", name);
  let seconds = 0;
  while (patient.health.weightFactor(patient.nowMs) < 1 || patient.state !== "healthy") {
    patient.wait(1).probe(true);
    seconds++;
    assert(seconds < 100, `${name}: still ${patient.state}`);
  }
  assertLessOrEqual(seconds, 45, name);
}

Deno.test("health ends an ejection early only for one that was gone and answers for 8 s", () => {
  const ejected = () => {
    const patient = new Patient().fail("http_5xx", 5);
    for (let i = 0; i < 4; i++) patient.toProbation().fail("http_5xx");
    assertEquals(patient.sentenceSeconds, 60);
    return patient;
  };
  assertEquals(ejected().probeFor(50, true).state, "ejected", "its health check never failed");
  assertEquals(ejected().probeFor(2, false).probeFor(8, true).state, "ejected");
  assertEquals(ejected().probeFor(2, false).probeFor(9, true).state, "probation");
  const relapse = ejected().probeFor(2, false).probeFor(7, true).probe(false);
  assertEquals(relapse.probeFor(8, true).state, "ejected", "one failed probe begins it anew");
  assertEquals(relapse.probeFor(1, true).state, "probation");
});
