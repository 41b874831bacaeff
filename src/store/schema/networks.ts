import type { Migration } from "../store.ts";

/**
 * networks   predefined and user-defined; `config` is JSON (networks/records.ts);
 *            `dns_port` is where its name server listens, 0 without one
 * sandboxes  one per container whose network is open; gone when it is closed; `config` is JSON (networks/records.ts);
 *            `dns_port` is where its name server listens, 0 without one
 * endpoints  a sandbox's ends; `settings` is JSON, the API's EndpointSettings; not `joined`: being made or taken away, while others work
 * addresses  what is taken of a network, `value` 32 hexadecimal digits; those without an endpoint are the network's own (gateways)
 * ports      host ports taken
 * network_facts  what an engine did to the host, by name
 * ipam_debts  what an IPAM plug-in gave and no other row has yet (networks/debts.ts)
 * opened     container ports that may be reached at the container's own address
 */
export const migrations: readonly Migration[] = [
  {
    id: "networks/1",
    sql: `
      CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        driver TEXT NOT NULL,
        created TEXT NOT NULL,
        config TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE sandboxes (
        container_id TEXT PRIMARY KEY,
        sandbox_id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        own_netns INTEGER NOT NULL,
        ports TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE endpoints (
        id TEXT PRIMARY KEY,
        container_id TEXT NOT NULL REFERENCES sandboxes (container_id) ON DELETE CASCADE,
        network_id TEXT NOT NULL REFERENCES networks (id),
        network_name TEXT NOT NULL,
        position INTEGER NOT NULL,
        host_link TEXT NOT NULL,
        settings TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX endpoints_of_container ON endpoints (container_id);
      CREATE INDEX endpoints_of_network ON endpoints (network_id);
      CREATE TABLE addresses (
        network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
        value TEXT NOT NULL,
        endpoint_id TEXT REFERENCES endpoints (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        PRIMARY KEY (network_id, value)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX addresses_of_endpoint ON addresses (endpoint_id);
      CREATE TABLE ports (
        protocol TEXT NOT NULL,
        host_port INTEGER NOT NULL,
        host_ip TEXT NOT NULL,
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        container_ip TEXT NOT NULL,
        container_port INTEGER NOT NULL,
        PRIMARY KEY (protocol, host_port, host_ip)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX ports_of_endpoint ON ports (endpoint_id);
    `,
  },
  {
    id: "networks/2",
    sql: `
      ALTER TABLE sandboxes ADD COLUMN config TEXT NOT NULL DEFAULT '{}';
      ALTER TABLE endpoints ADD COLUMN joined INTEGER NOT NULL DEFAULT 1;
    `,
  },
  { id: "networks/3", sql: "ALTER TABLE sandboxes ADD COLUMN dns_port INTEGER NOT NULL DEFAULT 0;" },
  {
    id: "networks/4",
    sql: `
      CREATE TABLE opened (
        container_ip TEXT NOT NULL,
        protocol TEXT NOT NULL,
        container_port INTEGER NOT NULL,
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        PRIMARY KEY (container_ip, protocol, container_port)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX opened_of_endpoint ON opened (endpoint_id);
    `,
  },
  {
    id: "networks/5",
    sql: "CREATE TABLE network_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",
  },
  { id: "networks/6", sql: "ALTER TABLE endpoints ADD COLUMN interface TEXT NOT NULL DEFAULT ''" },
  {
    id: "networks/7",
    sql: `
      CREATE TABLE ipam_debts (
        id TEXT PRIMARY KEY,
        driver TEXT NOT NULL,
        method TEXT NOT NULL,
        body TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];
