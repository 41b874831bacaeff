/** `--mount type=…,source=…,target=…`. */
import { resolve } from "node:path";
import type { Mount, MountType } from "../../api/types/container.ts";
import { parseBool, parseBytes, parseCsv } from "../flags/values.ts";

interface Draft {
  type: string;
  readonly mount: Mount;
  readonly bind: NonNullable<Mount["BindOptions"]>;
  readonly volume: NonNullable<Mount["VolumeOptions"]>;
  readonly image: NonNullable<Mount["ImageOptions"]>;
  readonly tmpfs: NonNullable<Mount["TmpfsOptions"]>;
}

type Setter = (draft: Draft, value: string, key: string) => void;

const target: Setter = ({ mount }, value) => {
  mount.Target = value;
};
const source: Setter = ({ mount }, value) => {
  mount.Source = value;
};
const readOnly: Setter = ({ mount }, value, key) => {
  mount.ReadOnly = bool(key, value);
};

const KEYS: Readonly<Record<string, Setter>> = {
  type: (draft, value) => {
    draft.type = value.toLowerCase();
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly: readOnly,
  ro: readOnly,
  consistency: ({ mount }, value) => {
    mount.Consistency = value.toLowerCase();
  },
  "bind-propagation": ({ bind }, value) => {
    bind.Propagation = value.toLowerCase();
  },
  "bind-nonrecursive": ({ bind }, value, key) => {
    bind.NonRecursive = bool(key, value);
  },
  "bind-recursive": ({ bind, mount }, value, key) => {
    if (value === "disabled") bind.NonRecursive = true;
    else if (value === "writable") bind.ReadOnlyNonRecursive = true;
    else if (value === "readonly") {
      if (mount.ReadOnly !== true)
        throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
      bind.ReadOnlyForceRecursive = true;
    } else if (value !== "enabled")
      throw new Error(`invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`);
  },
  idmap: ({ bind }, value) => {
    bind.IdMap = value;
  },
  "bind-create-src": ({ bind }, value, key) => {
    bind.CreateMountpoint = bool(key, value);
  },
  "volume-nocopy": ({ volume }, value, key) => {
    volume.NoCopy = bool(key, value);
  },
  "volume-subpath": ({ volume }, value) => {
    volume.Subpath = value;
  },
  "volume-label": ({ volume }, value) => {
    const [name, text] = pair(value);
    volume.Labels = { ...volume.Labels, [name]: text };
  },
  "volume-driver": ({ volume }, value) => {
    volume.DriverConfig = { ...volume.DriverConfig, Name: value };
  },
  "volume-opt": ({ volume }, value) => {
    const [name, text] = pair(value);
    volume.DriverConfig = { ...volume.DriverConfig, Options: { ...volume.DriverConfig?.Options, [name]: text } };
  },
  "image-subpath": ({ image }, value) => {
    image.Subpath = value;
  },
  "tmpfs-size": ({ tmpfs }, value, key) => {
    tmpfs.SizeBytes = checked(key, value, () => parseBytes(value));
  },
  "tmpfs-mode": ({ tmpfs }, value, key) => {
    if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
    tmpfs.Mode = Number.parseInt(value, 8);
  },
};

const BARE = new Set(["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"]);

/** Throws with docker's words. A relative bind source counts from the working folder. */
export function parseMount(text: string): Mount {
  const draft: Draft = { type: "volume", mount: {}, bind: {}, volume: {}, image: {}, tmpfs: {} };
  for (const field of parseCsv(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    if (equals < 0 && !BARE.has(key)) throw new Error(`invalid field '${field}' must be a key=value pair`);
    const set = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (set === undefined) throw new Error(`unexpected key '${key}' in '${field}'`);
    set(draft, equals < 0 ? "true" : field.slice(equals + 1), key);
  }
  return finished(draft);
}

function finished({ type, mount, bind, volume, image, tmpfs }: Draft): Mount {
  if (type === "") throw new Error("type is required");
  if ((mount.Target ?? "") === "") throw new Error("target is required");
  const given = (options: object) => Object.keys(options).length > 0;
  const only = (options: object, own: string) => {
    if (given(options) && type !== own) throw new Error(`cannot mix '${own}-*' options with mount type '${type}'`);
  };
  only(volume, "volume");
  only(bind, "bind");
  only(tmpfs, "tmpfs");
  only(image, "image");
  const { Source } = mount;
  return {
    Type: type as MountType,
    ...mount,
    ...(type === "bind" && Source !== undefined && Source.startsWith(".") ? { Source: resolve(Source) } : {}),
    ...(given(bind) ? { BindOptions: bind } : {}),
    ...(given(volume) ? { VolumeOptions: volume } : {}),
    ...(given(image) ? { ImageOptions: image } : {}),
    ...(given(tmpfs) ? { TmpfsOptions: tmpfs } : {}),
  };
}

function pair(text: string): [string, string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

const bool = (key: string, value: string) => checked(key, value, () => parseBool(value));

function checked<T>(key: string, value: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new Error(`invalid value for ${key}: ${value}`);
  }
}
