# Run everything on this Windows machine inside WSL, where skill-init is at home.
#
#   deploy_local.ps1 [-Port 8000] [ARGUMENTS OF skill-init local]
#
# Port is the API's port (PORT, 8000). Paths among the arguments are WSL's, relative ones begin at the project's root.
# Other variables of docs/environment.md are set inside WSL.
[CmdletBinding(PositionalBinding = $false)]
param(
    [int]$Port = $(if ($env:PORT) { [int]$env:PORT } else { 8000 }),
    [Parameter(ValueFromRemainingArguments = $true)][string[]]$Arguments = @()
)
$ErrorActionPreference = "Stop"

if (-not (Get-Command wsl.exe -ErrorAction SilentlyContinue)) {
    throw "WSL is missing: run 'wsl --install' as an administrator, or use Docker Desktop and compose/docker-compose.yml"
}
$root = (Resolve-Path (Join-Path $PSScriptRoot "..")).Path
# The root may hold spaces: it goes as one argument, never through a shell's word splitting.
$inside = "$(& wsl.exe wslpath -a ($root -replace '\\', '/'))".Trim()
if ($LASTEXITCODE -ne 0) { throw "WSL cannot see $root" }
& wsl.exe --cd $inside --exec env "PORT=$Port" ./scripts/deploy_local.sh @Arguments
exit $LASTEXITCODE
