"""A libtorrent peer for `cargo xtask bench swarm --compare libtorrent`.

It says what `seeder --json` says: `ready`, `progress` once a second, `done`. Settings are libtorrent's own,
except that it looks for nobody by itself, and that it uses TCP alone: its uTP keeps away from full queues, which
in these networks costs it a quarter of its speed.

    describe FILE DESCRIPTION            writes the description that peers need
    seed DESCRIPTION FOLDER ADDRESS      serves FOLDER/FILE
    fetch DESCRIPTION FOLDER ADDRESS PEER...
"""

import json
import os
import sys
import time

import libtorrent as lt

PORT = 6881


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def describe(original, description):
    files = lt.file_storage()
    lt.add_files(files, original)
    made = lt.create_torrent(files)
    lt.set_piece_hashes(made, os.path.dirname(original))
    with open(description, "wb") as output:
        output.write(lt.bencode(made.generate()))


def run(description, folder, address, peers, is_seeder):
    session = lt.session(
        {
            "listen_interfaces": f"{address}:{PORT}",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
        }
    )
    settings = lt.add_torrent_params()
    settings.ti = lt.torrent_info(description)
    settings.save_path = folder
    settings.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    if is_seeder:
        settings.flags |= lt.torrent_flags.seed_mode
    handle = session.add_torrent(settings)
    for peer in peers:
        handle.connect_peer((peer, PORT))
    say("ready", link=description)
    is_done = is_seeder
    told = 0.0
    while True:
        status = handle.status()
        if time.monotonic() - told >= 1 or (status.is_seeding and not is_done):
            told = time.monotonic()
            say("progress", bytes_verified=status.total_done, uploaded=status.total_payload_upload)
        if status.is_seeding and not is_done:
            is_done = True
            say("done", duplicate_bytes=status.total_redundant_bytes)
        time.sleep(0.05)


command, *arguments = sys.argv[1:]
if command == "describe":
    describe(*arguments)
else:
    run(*arguments[:3], arguments[3:], command == "seed")
