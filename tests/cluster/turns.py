"""What a step does that calls the replicas of a model; it is embedded in a workflow, so nothing else is here."""

from __future__ import annotations


def turns(url: str, target: str) -> list[list[int]]:
    """How many of forty calls each replica got: through one connection of a plain Service, and taking turns."""
    import re
    import socket
    import urllib.request

    import grpc

    host, _, port = target.removeprefix("dns:///").rpartition(":")
    pods = sorted({each[4][0] for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})

    def counts() -> list[int]:
        found = []
        for pod in pods:
            with urllib.request.urlopen(
                f"http://{pod}:8501/monitoring/prometheus/metrics", timeout=20
            ) as answer:
                found.append(sum(map(int, re.findall(r"request_count{.*?} (\d+)", answer.read().decode()))))
        return found

    policy = '{"loadBalancingConfig": [{"round_robin": {}}]}'
    request = b"\x0a\x07\x0a\x05gated"  # of this model, and no inputs: it is counted, and refused
    plain = url.removeprefix("http://").rpartition(":")[0] + ":8500"
    before, told = counts(), []
    for place, options in ((plain, []), (target, [("grpc.service_config", policy)])):
        with grpc.insecure_channel(place, options=options) as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            for _ in range(40):
                try:
                    call(request, timeout=20, wait_for_ready=True)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                        raise
        after = counts()
        told.append([new - old for new, old in zip(after, before, strict=True)])
        before = after
    return told
