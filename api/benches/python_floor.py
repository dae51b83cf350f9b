"""The least that a Python worker does for the two reads that are compared: FastAPI on one uvicorn process, as the old
worker was. Every list reads the skills folder again, every status is one row of SQLite.

    python3 python_floor.py PORT SKILLS_FOLDER
"""

import json
import pathlib
import sqlite3
import sys

import fastapi
import uvicorn

skills = pathlib.Path(sys.argv[2])
app = fastapi.FastAPI()
store = sqlite3.connect(":memory:", check_same_thread=False)
store.execute("create table runs (id text primary key, status text, updated_at text)")
store.execute("insert into runs values ('one', 'succeeded', '2026-01-01T00:00:00Z')")


@app.get("/v1/skills")
def every_skill():
    """Read from the folder each time."""
    found = []
    for folder in sorted(skills.iterdir()):
        runner = json.loads((folder / "assets/runner.json").read_text())
        text = (folder / "SKILL.md").read_text()
        found.append({**runner, "path": str(folder), "description": text[:200]})
    return found


@app.get("/v1/jobs/{run_id}")
def status(run_id: str):
    """One row."""
    row = store.execute("select id, status, updated_at from runs where id = ?", (run_id,)).fetchone()
    return dict(zip(("request_id", "status", "updated_at"), row))


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
