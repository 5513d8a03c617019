#!/bin/sh
# `connect-sim exec -- sh test_order.sh` runs this with a sandbox of its own.
set -eu
connect-sim listen --approve --port "$PORT" >/dev/null & # a handler, for which you take yours
order=$(connect-sim queue add fulfillment --product "$PRODUCT_ID" | cut -d ' ' -f 1)
# If the handler starts too slowly, the second attempt is five minutes later: they are skipped.
connect-sim wait status "$order" approved --skip --timeout 30
curl -sS --fail-with-body -H "Authorization: $CONNECT_API_KEY" "$CONNECT_API_URL/requests/$order" |
    grep -q '"status": *"approved"'
echo "The order is approved."
