#!/usr/bin/env bash
# Does the worker keep to its own OpenAPI document, whatever a client sends?
#
#   tests/openapi/run.sh [--examples 20] [--seed 1] [--bin target/debug]
#
# schemathesis (PyPI, in a virtual environment below target/) reads the document of a running worker and asks every operation
# for what the document allows and forbids, with Basic Auth off and on. A server error, an undocumented status, a wrong content
# type or shape, a hang, forbidden data that is taken or allowed data that is refused is a failure. The engine is a stub; nothing
# leaves the machine but the download. About two minutes. The last line is 'N passed, N failed, N skipped'.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=4.32.5
folder=target/openapi-contract
if ! "$folder/bin/st" --version 2>/dev/null | grep -qF "$version"; then
  if ! { python3 -m venv --clear "$folder" && "$folder/bin/pip" install --quiet --retries 1 "schemathesis==$version"; }; then
    echo "SKIPPED: schemathesis $version cannot be installed from PyPI into $folder (python3-venv and the index are needed)" >&2
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
  fi
fi
exec "$folder/bin/python" tests/openapi/contract.py "$@"
