import type { DetectedRuntime } from "./detect.ts";
import { BPF_ANNOTATION } from "./seccomp-bpf.ts";
import type { Spec } from "./spec-types.ts";

/**
 * The one of the two forms of the default seccomp filter that this runtime takes. With the program the profile is left empty:
 * crun wants one to be there; should it ever overlook the annotation, an empty one refuses every call.
 */
export function adaptSpec(spec: Spec, { takesBpf }: Pick<DetectedRuntime, "takesBpf">): Spec {
  if (spec.annotations?.[BPF_ANNOTATION] === undefined) return spec;
  if (takesBpf) return { ...spec, linux: { ...spec.linux, seccomp: { defaultAction: "SCMP_ACT_ERRNO" } } };
  const { [BPF_ANNOTATION]: _, ...annotations } = spec.annotations;
  return { ...spec, annotations };
}
