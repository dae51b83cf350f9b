"""The least that a Python worker does for the two reads that are compared: FastAPI on one uvicorn process, as the old
worker was. Every list reads the skills folder again; every status is one row of the database file and the run's status.json,
where the old worker keeps both.

    python3 python_floor.py PORT SKILLS_FOLDER
"""

import json
import pathlib
import sqlite3
import sys
import tempfile

import fastapi
import uvicorn

skills = pathlib.Path(sys.argv[2])
app = fastapi.FastAPI()
data = tempfile.TemporaryDirectory()
folder = pathlib.Path(data.name)
store = sqlite3.connect(folder / "runs.db", check_same_thread=False)
store.execute("create table requests (request_id text primary key, run_id text, skill_id text, engine text, created_at text)")
store.execute("insert into requests values ('one', 'run', 'demo', 'codex', '2026-01-01T00:00:00Z')")
store.commit()
(folder / "run").mkdir()
(folder / "run/status.json").write_text(
    json.dumps({"status": "succeeded", "updated_at": "2026-01-01T00:00:00Z", "error": None, "warnings": []})
)


@app.get("/v1/skills")
def every_skill():
    """Read from the folder each time."""
    found = []
    for folder in sorted(skills.iterdir()):
        runner = json.loads((folder / "assets/runner.json").read_text())
        text = (folder / "SKILL.md").read_text()
        found.append({**runner, "path": str(folder), "description": text[:200]})
    return found


@app.get("/v1/jobs/{request_id}")
def status(request_id: str):
    """One row and one file."""
    names = ("request_id", "run_id", "skill_id", "engine", "created_at")
    row = store.execute(f"select {', '.join(names)} from requests where request_id = ?", (request_id,)).fetchone()
    record = dict(zip(names, row))
    return {**record, **json.loads((folder / record["run_id"] / "status.json").read_text())}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
