import { createReadStream } from "node:fs";
import { createEngine } from "gantry";
import { build, cache, folder, from, scratch } from "gantry/builder";

const [archive = "busybox.tar", root = "/var/lib/gantry-example", project = "."] = process.argv.slice(2);

await using engine = await createEngine({ dataRoot: root, execRoot: `${root}/run` });
await engine.images.load(createReadStream(archive), { onProgress: () => {} });

// Stages are values: made once, used wherever they are needed, and built when somebody asks for an image.
const base = from("busybox").workdir("/srv");
const page = (name: string) =>
  base
    .copy(folder(project), `${name}.txt`, ".")
    .run(`tr a-z A-Z < ${name}.txt > page && date >> /cache/builds`, { mounts: [cache("/cache")] })
    .named(`page ${name}`);

const site = ["one", "two"].reduce(
  (stage, name) => stage.copy(page(name), "/srv/page", `/${name}`),
  scratch().env({ LANG: "C" }).label({ made: "by a program" }).cmd("/one"),
);

const { images } = await build(engine, site, {
  tags: ["site:1"],
  onProgress: (event) => {
    if (event.type === "vertex" && event.vertex.completedAt !== undefined && event.vertex.step?.text.startsWith("RUN"))
      console.log(event.vertex.cached ? "cached" : "ran", event.vertex.step.text);
  },
});
console.log(images[0]?.config.config?.Labels, images[0]?.layers.length, "layers");
