/**
 * The entry of dist/cli: runs gantry.cjs beside it, from compiled code where there is some. Node's own compile cache has what the loading of a
 * file compiles; this one, kept for each command by itself, has what a run of it compiled too, which is worth as much again.
 */
const fs = require("node:fs");
const { Script } = require("node:vm");

/** Files that old versions left go when a new one is written. Milliseconds. */
const OLD = 30 * 24 * 3600 * 1000;

const file = `${__dirname}/gantry.cjs`;
const source = fs.readFileSync(file, "utf8");
const folder = cacheFolder();
const [, command = "gantry"] = /^([a-z]{1,20})$/.exec(process.argv[2] ?? "") ?? [];
// The first line is a comment with the text's digest: of what it asks, V8 compares the length alone.
const cache = folder && `${folder}/gantry-${source.slice(2, 34)}-${process.version}-${command}`;
const cachedData = cache && read(cache);
const script = new Script(`(function (exports, require, module, __filename, __dirname, load) { ${source}\n})`, {
  filename: file,
  cachedData,
});
if (cache && (cachedData === undefined || script.cachedDataRejected))
  process.once("exit", (code) => code === 0 && keep(script.createCachedData()));
script.runInThisContext()(exports, require, module, file, __dirname, (path) => import(path));

function cacheFolder() {
  if (process.getuid() === 0) return "/var/cache/gantry/compile";
  const { XDG_CACHE_HOME, HOME } = process.env;
  const own = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`);
  return own && `${own}/gantry/compile`;
}

function read(path) {
  try {
    return fs.readFileSync(path);
  } catch {
    return undefined;
  }
}

/** V8 believes what it reads: the file is whole, and on the disk, before it has its name. */
function keep(data) {
  const own = `${cache}.${process.pid}`;
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const fd = fs.openSync(own, "wx", 0o600);
    fs.writeSync(fd, data);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    fs.renameSync(own, cache);
    for (const name of fs.readdirSync(folder)) {
      const path = `${folder}/${name}`;
      if (name.startsWith("gantry-") && Date.now() - fs.statSync(path).mtimeMs > OLD) fs.rmSync(path);
    }
  } catch {
    // Without it the next start takes some milliseconds more.
    fs.rmSync(own, { force: true });
  }
}
