# Run everything on this Windows machine inside WSL, where skill-init is at home.
#
#   deploy_local.ps1 [-Port 8000]
param([int]$Port = $(if ($env:PORT) { [int]$env:PORT } else { 8000 }))
$ErrorActionPreference = "Stop"

if (-not (Get-Command wsl.exe -ErrorAction SilentlyContinue)) {
    Write-Error "WSL is missing: run 'wsl --install' as an administrator, or use Docker Desktop and compose/docker-compose.yml"
    exit 1
}
$root = (Resolve-Path (Join-Path $PSScriptRoot "..")).Path
# The root may hold spaces: it goes as one argument, never through a shell's word splitting.
$inside = (& wsl.exe wslpath -a ($root -replace '\\', '/')).Trim()
if ($LASTEXITCODE -ne 0) { Write-Error "WSL cannot see $root"; exit 1 }
& wsl.exe --cd $inside --exec env "PORT=$Port" ./scripts/deploy_local.sh
exit $LASTEXITCODE
