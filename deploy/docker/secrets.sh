#!/bin/sh
# Makes the secrets that docker-compose.yml mounts: deploy/docker/secrets.sh [FOLDER]
# FOLDER (./secrets) is its owner's only. The files in it can be read by anybody who is let in,
# because each container reads its own as another user. What exists already stays as it is.
set -eu
folder=${1:-secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"

if [ -n "$(ls -A "$folder")" ]; then
    echo "$folder is not empty; nothing was changed" >&2
    exit 1
fi

random() { # random BYTES, as hexadecimal digits
    od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

redis_password=$(random 24)
access_key=$(random 10)
secret_key=$(random 24)

cd "$folder"
printf 'requirepass %s\n' "$redis_password" > valkey.conf
printf 'redis://:%s@valkey:6379/0\n' "$redis_password" > redis_url
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
    "$access_key" "$secret_key" > aws_credentials
printf '{"identities": [{"name": "guanwu", "actions": ["Admin", "Read", "Write", "List"], "credentials": [{"accessKey": "%s", "secretKey": "%s"}]}]}\n' \
    "$access_key" "$secret_key" > s3.json
printf 'local=%s\n' "$(random 24)" > tokens
random 16 > grafana_password
chmod 444 ./*
echo "made in $folder: $(echo *); the token of the tenant 'local' stands in $folder/tokens"
