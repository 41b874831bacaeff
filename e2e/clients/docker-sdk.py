"""The main operations by Docker's SDK for Python, as programs use it. Prints one JSON object of what it saw."""
import io
import json
import sys
import tarfile
import threading

import docker

client = docker.DockerClient(base_url=sys.argv[1], version="auto", timeout=60)
seen = {}


def refused(action, status):
    try:
        action()
    except docker.errors.APIError as error:
        return error.status_code == status
    return False


# The engine.
assert client.ping()
seen["version"] = client.version()["ApiVersion"]
seen["driver"] = client.info()["Driver"]
told = []
watcher = client.events(decode=True, filters={"type": "container"})
threading.Thread(target=lambda: told.extend(event["Action"] for event in watcher), daemon=True).start()

# A run in one call: its output, its failure.
seen["run"] = client.containers.run("busybox", ["sh", "-c", "echo $GREETING"], environment={"GREETING": "hello"}, remove=True).decode()
try:
    client.containers.run("busybox", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True, stderr=True)
except docker.errors.ContainerError as error:
    seen["failed"] = [error.exit_status, error.stderr.decode()]

# A container's life.
container = client.containers.run(
    "busybox",
    ["sh", "-c", "echo out; echo err >&2; read x; echo got $x; sleep 100"],
    name="lived",
    detach=True,
    stdin_open=True,
    labels={"by": "python"},
    volumes={"kept": {"bind": "/kept", "mode": "rw"}},
    ports={"80/tcp": ("127.0.0.1", None)},
    mem_limit="64m",
    ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
    healthcheck={"test": ["CMD", "true"], "interval": 10**8},
)
container.reload()
seen["inspect"] = [container.status, container.labels["by"], container.ports["80/tcp"][0]["HostIp"], container.attrs["HostConfig"]["Memory"]]
seen["listed"] = [each.name for each in client.containers.list(filters={"label": "by=python"})]
socket = container.attach_socket(params={"stdin": 1, "stream": 1})
socket._sock.sendall(b"one\n")
lines = container.logs(stream=True, follow=True)
text = b""
while b"got one" not in text:
    text += next(lines)
seen["logs"] = sorted(text.decode().split())
socket.close()
seen["tail"] = container.logs(tail=1, timestamps=True).decode().split()[-2:]

# Execs.
code, (out, err) = container.exec_run(["sh", "-c", "pwd; id -u; echo wrong >&2; exit 5"], workdir="/tmp", user="7", demux=True)
seen["exec"] = [code, out.decode(), err.decode()]
seen["streamed"] = b"".join(container.exec_run(["echo", "streamed"], stream=True).output).decode()

# Looking in.
seen["top"] = "PID" in container.top()["Titles"]
seen["stats"] = container.stats(stream=False)["memory_stats"]["limit"]
container.pause()
container.reload()
seen["paused"] = container.status
container.unpause()
container.update(mem_limit="32m", memswap_limit="64m", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
container.rename("renamed")
container.reload()
seen["renamed"] = [container.name, container.attrs["HostConfig"]["RestartPolicy"], container.attrs["HostConfig"]["Memory"]]

# Files.
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    entry = tarfile.TarInfo("carried")
    entry.size = 8
    tar.addfile(entry, io.BytesIO(b"in a tar"))
assert container.put_archive("/kept", archive.getvalue())
stream, stat = container.get_archive("/kept/carried")
with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
    seen["files"] = [stat["name"], stat["size"], tar.extractfile("carried").read().decode()]
seen["diff"] = any(change["Path"] == "/kept" for change in container.diff())
seen["exported"] = sum(len(chunk) for chunk in container.export()) > 100_000

# The end.
container.kill()
seen["waited"] = container.wait()["StatusCode"]
seen["refused"] = [refused(container.kill, 409), refused(lambda: client.containers.get("nobody"), 404)]
container.start()
container.restart(timeout=0)
container.stop(timeout=0)

# Images.
image = container.commit(repository="snapped", tag="1", message="by python")
image.tag("again", "2")
seen["tags"] = sorted(client.images.get("again:2").tags)
saved = b"".join(client.images.get("again:2").save(named=True))
client.images.remove("again:2")
seen["loaded"] = client.images.load(saved)[0].id == image.id
seen["history"] = client.images.get("snapped:1").history()[0]["Comment"]
container.remove(v=True)
for name in ("snapped:1", "again:2"):
    client.images.remove(name)

# Networks and volumes.
network = client.networks.create("net", driver="bridge", labels={"by": "python"})
other = client.containers.run("busybox", ["sleep", "100"], detach=True)
network.connect(other, aliases=["friend"])
network.reload()
seen["connected"] = [each.id == other.id for each in network.containers]
network.disconnect(other)
other.remove(force=True)
network.remove()
client.volumes.create("made", labels={"by": "python"})
seen["volumes"] = [volume.name for volume in client.volumes.list(filters={"label": "by=python"})]
client.volumes.get("made").remove()
seen["pruned"] = sorted(client.containers.prune())
watcher.close()
kinds = {action.split(":")[0] for action in told}
seen["told"] = [action for action in ("create", "start", "exec_start", "pause", "die", "destroy") if action not in kinds]
print(json.dumps(seen))
