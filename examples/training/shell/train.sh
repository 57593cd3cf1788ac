#!/bin/sh
# A training that needs nothing but a shell: it counts epochs, and its model is a number.
#   EPOCHS, RATE: parameters (TIPHYS_INPUT_EPOCHS, TIPHYS_INPUT_RATE)
#   tells how far it is in $TIPHYS_REPORT, a line of JSON for each epoch, and $ARGO_PROGRESS_FILE
#   writes its model into $TIPHYS_MODEL_DIR
set -eu
epochs=${TIPHYS_INPUT_EPOCHS:-3}
rate=${TIPHYS_INPUT_RATE:-50}

rows=0
if [ -n "${TIPHYS_DATASET_PATH:-}" ]; then
    rows=$(cat "$TIPHYS_DATASET_PATH"/*.csv | wc -l | tr -d ' ')
fi
loss=1000
epoch=1
while [ "$epoch" -le "$epochs" ]; do
    loss=$((loss * (100 - rate) / 100))
    echo "{\"epoch\": $epoch, \"of\": $epochs, \"loss\": $loss, \"rows\": $rows}" >> "$TIPHYS_REPORT"
    if [ -n "${ARGO_PROGRESS_FILE:-}" ]; then
        echo "$epoch/$epochs" > "$ARGO_PROGRESS_FILE"
    fi
    echo "epoch $epoch of $epochs: loss $loss"
    epoch=$((epoch + 1))
done
echo "$loss" > "$TIPHYS_MODEL_DIR/model.txt"
