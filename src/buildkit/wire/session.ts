/** What a client's session offers: its files, secrets, agents, logins, and places for products. */
import { type MessageOf, map, message, one } from "../protobuf/message.ts";

export const METHODS = {
  diffCopy: "/moby.filesync.v1.FileSync/DiffCopy",
  send: "/moby.filesync.v1.FileSend/DiffCopy",
  pull: "/moby.upload.v1.Upload/Pull",
  secret: "/moby.buildkit.secrets.v1.Secrets/GetSecret",
  checkAgent: "/moby.sshforward.v1.SSH/CheckAgent",
  forwardAgent: "/moby.sshforward.v1.SSH/ForwardAgent",
  credentials: "/moby.filesync.v1.Auth/Credentials",
} as const;

export const BytesMessage = message({ data: one(1, "bytes") });

export const GetSecretRequest = message({ id: one(1, "string") });
export const GetSecretResponse = message({ data: one(1, "bytes") });
export const CheckAgentRequest = message({ id: one(1, "string") });
export const CredentialsRequest = message({ host: one(1, "string") });
export const CredentialsResponse = message({ username: one(1, "string"), secret: one(2, "string") });

export const STAT = 0;
export const REQUEST = 1;
export const DATA = 2;
export const FIN = 3;
export const FAILURE = 4;

export const Stat = message({
  path: one(1, "string"),
  /** Go's os.FileMode. */
  mode: one(2, "int"),
  uid: one(3, "int"),
  gid: one(4, "int"),
  size: one(5, "int"),
  /** Nanoseconds since the epoch. */
  modTime: one(6, "big"),
  linkname: one(7, "string"),
  devmajor: one(8, "int"),
  devminor: one(9, "int"),
  xattrs: map(10, "bytes"),
});
export type Stat = MessageOf<typeof Stat>;
/** fsutil's: a listing one way, requests the other, then data. */
export const Packet = message({ type: one(1, "int"), stat: one(2, Stat), id: one(3, "int"), data: one(4, "bytes") });
