"""Workers of Weir and of a KCL on one application of a localcloud: what they see, and how the leases move."""

import atexit
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import boto3

KEYS = 64


class Fleet:
    """A stream that numbered records flow into, and the workers that read it."""

    def __init__(self, name, consumer, endpoint, directory, foreign, command):
        self.name, self.consumer, self.endpoint, self.foreign, self.command = name, consumer, endpoint, foreign, command
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir()
        os.environ.update(
            AWS_ACCESS_KEY_ID="local",
            AWS_SECRET_ACCESS_KEY="local",
            AWS_REGION="eu-central-1",
            AWS_DEFAULT_REGION="eu-central-1",
            AWS_ENDPOINT_URL=endpoint,
            AWS_EC2_METADATA_DISABLED="true",
        )
        self.kinesis, self.dynamodb = boto3.client("kinesis"), boto3.client("dynamodb")
        self.began, self.workers = time.monotonic(), []
        atexit.register(self.kill_all)

    def say(self, text):
        print(f"{self.name} {time.monotonic() - self.began:5.0f} s: {text}", flush=True)

    def fail(self, text):
        sys.exit(f"FAIL {self.name}: {text}; logs are in {self.directory}")

    def open(self, shards):
        """Creates the stream and lets records flow."""
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        while not self.is_active():
            time.sleep(0.2)
        self.producer, self.leases = Producer(self), Leases(self)
        self.producer.start()
        self.leases.start()

    def is_active(self):
        summary = self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
        return summary["StreamStatus"] == "ACTIVE"

    def reshard(self, count):
        self.kinesis.update_shard_count(StreamName=self.name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        self.wait(f"{count} shards", self.is_active, 60)

    def start(self, name, kind):
        self.workers.append(Worker(self, name, kind))
        return self.workers[-1]

    def kill_all(self):
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.end(signal.SIGKILL)

    def wait(self, what, condition, longest):
        deadline = time.monotonic() + longest
        # Until the watcher has seen what was done before.
        time.sleep(0.5)
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"after {longest} s it had not come to this: {what}; leases: {dict(self.leases.held())}")
            time.sleep(0.25)
        self.say(what)

    def finish(self, longest):
        """Stops the flow and waits until somebody has seen every record."""
        self.producer.stopped = True
        self.producer.join()
        sent = self.producer.names()
        self.wait("every record was seen", lambda: not sent - set(self.seen()), longest)

    def seen(self):
        """How often each record was seen."""
        return collections.Counter(data for worker in self.workers for data in worker.seen())

    def twice(self):
        """How many records were seen more than once, by who saw them."""
        seen = {worker.name: collections.Counter(worker.seen()) for worker in self.workers}
        by = collections.Counter()
        for data, count in self.seen().items():
            if count > 1:
                by[" and ".join(name for name, records in seen.items() for _ in range(records[data]))] += 1
        return by

    def summary(self):
        for who, count in self.twice().most_common():
            self.say(f"{count} records were seen by {who}")
        kinds = {kind: set() for kind in ("weir", self.foreign)}
        for worker in self.workers:
            kinds[worker.kind].update(worker.seen())
        seen = self.seen()
        return (
            f"{len(seen)} records, {len(kinds['weir'])} seen by Weir, {len(kinds[self.foreign])} by {self.foreign}, "
            f"{seen.total() - len(seen)} twice, {len(self.leases.moves)} lease moves"
        )


class Worker:
    def __init__(self, fleet, name, kind):
        self.fleet, self.name, self.kind = fleet, name, kind
        self.output, self.log = fleet.directory / f"{name}.jsonl", fleet.directory / f"{name}.log"
        self.output.touch()
        log = open(self.log, "w")
        if kind == "weir":
            arguments = [fleet.consumer, "--stream", fleet.name, "--application", fleet.name, "--bind", "127.0.0.1"]
            arguments += ["--admin-port", "0", "--create-lease-table"]
            self.process = subprocess.Popen(arguments, stdout=open(self.output, "w"), stderr=log)
        else:
            arguments = [*fleet.command, fleet.endpoint, fleet.name, fleet.name, name, str(self.output)]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)

    def end(self, how):
        """A worker that is killed takes its own children with it, as when its container ends."""
        if self.kind != "weir" and how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        self.process.wait(timeout=60)

    def seen(self):
        lines = self.output.read_text().splitlines()
        return [json.loads(line)["data"] for line in lines if line.endswith("}")]

    def notes(self, message):
        """What a worker of Weir has logged under this message."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["message"] == message]


class Producer(threading.Thread):
    """Puts numbered records of some keys until it is told to stop."""

    def __init__(self, fleet):
        super().__init__(daemon=True)
        self.fleet, self.sent, self.stopped = fleet, 0, False

    def run(self):
        while not self.stopped:
            records = [{"Data": f"{key}/{self.sent}", "PartitionKey": f"key-{key}"} for key in range(KEYS)]
            answer = self.fleet.kinesis.put_records(StreamName=self.fleet.name, Records=records)
            assert answer["FailedRecordCount"] == 0, answer
            self.sent += 1
            time.sleep(0.2)

    def names(self):
        return {f"{key}/{number}" for number in range(self.sent) for key in range(KEYS)}


class Leases(threading.Thread):
    """Watches the lease table: who has what, and what moves."""

    def __init__(self, fleet):
        super().__init__(daemon=True)
        self.fleet, self.owners, self.moves = fleet, {}, []

    def run(self):
        dynamodb = self.fleet.dynamodb
        while True:
            try:
                items = dynamodb.scan(TableName=self.fleet.name, ConsistentRead=True)["Items"]
            except dynamodb.exceptions.ResourceNotFoundException:
                items = []
            now = {item["leaseKey"]["S"]: item.get("leaseOwner", {}).get("S") for item in items if "checkpoint" in item
                   and item["checkpoint"]["S"] != "SHARD_END"}
            for lease, owner in now.items():
                if owner and owner != self.owners.get(lease):
                    self.moves.append((time.monotonic(), lease, self.owners.get(lease), owner))
            self.owners = now
            time.sleep(0.25)

    def held(self):
        """Leases by owner."""
        return collections.Counter(owner for owner in self.owners.values() if owner)

    def is_shared(self, workers, leases):
        """Whether so many workers have equal parts of so many leases."""
        held = self.held()
        fair = -(-leases // workers)
        return len(held) == min(workers, leases) and held.total() == leases and max(held.values()) <= fair
