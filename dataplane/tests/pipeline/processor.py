"""A record processor that reads and writes messages the way amazon_kclpy does, and notes down all it is told.

    processor.py NOTES [crash-once] [crash] [keep] [probe]

crash-once  ends in the middle of the first batch with data that starts with "poison"
crash       does so every time
keep        checkpoints when it is asked to stop or its shard ends, and at no other time
probe       asks for checkpoints that it must not get, prints what is no message, and notes the errors
"""

import base64
import json
import sys

NOTES, MODES = sys.argv[1], sys.argv[2:]
shard = None


def note(**event):
    with open(NOTES, "a") as notes:
        notes.write(json.dumps(dict(event, shard=shard)) + "\n")


def say(message):
    sys.stdout.write("\n" + json.dumps(message) + "\n")
    sys.stdout.flush()


def checkpoint(sequence_number=None, sub_sequence_number=None):
    say({"action": "checkpoint", "sequenceNumber": sequence_number, "subSequenceNumber": sub_sequence_number})
    reply = json.loads(sys.stdin.readline())
    assert reply["action"] == "checkpoint", reply
    return reply["error"]


def crash_unless_another_did():
    try:
        open(NOTES + ".crashed", "x").close()
    except FileExistsError:
        return
    sys.stderr.write("this is too much\n")
    sys.exit(1)


def process(message):
    for record in message["records"]:
        assert record["action"] == "record", record
        data = base64.b64decode(record["data"]).decode()
        if data.startswith("poison") and "crash-once" in MODES:
            crash_unless_another_did()
        if data.startswith("poison") and "crash" in MODES:
            sys.exit("this is too much")
        note(data=data, key=record["partitionKey"], number=record["sequenceNumber"])
    if "probe" in MODES:
        print("a line about " + data)
        sys.stderr.write("processed\n")
        note(beyond=checkpoint("9" * 60, 0), nowhere=checkpoint("TRIM_HORIZON"))
        first = message["records"][0]
        note(first=checkpoint(first["sequenceNumber"], first["subSequenceNumber"]))
    if "keep" not in MODES:
        note(checkpoint=checkpoint())


while True:
    line = sys.stdin.readline()
    if not line:
        break
    message = json.loads(line)
    action = message["action"]
    if action == "initialize":
        shard = message["shardId"]
        note(event=action, at=message["sequenceNumber"], early=checkpoint() if "probe" in MODES else None)
    elif action == "processRecords":
        process(message)
    else:
        note(event=action)
        if action in ("shardEnded", "shutdownRequested"):
            note(event=action + " checkpoint", checkpoint=checkpoint())
    say({"action": "status", "responseFor": action})
