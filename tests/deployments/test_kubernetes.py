"""The manifests of docs/kubernetes, as far as they can be judged where no Kubernetes runs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from idxflow.server.guard import guarded
from tests.deployments.guide import blocks, commands
from tests.deployments.linters import findings
from tests.test_house import PROJECT, ROOT

FOLDER = ROOT / "docs" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
GUIDE = (ROOT / "docs" / "cluster.md").read_text()
STYLE = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
OLDEST = "1.30"
"""Version of Kubernetes, the oldest that the page promises."""
Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    """Every document of the folder."""
    return [each for path in FILES for each in yaml.safe_load_all(path.read_text())]


def pods() -> Iterator[tuple[Manifest, Manifest]]:
    """Yield what makes pods, and the pod's specification."""
    for each in manifests():
        match each["kind"]:
            case "DaskCluster":
                yield from ((each, each["spec"][role]["spec"]) for role in ("scheduler", "worker"))
            case "Deployment" | "StatefulSet" | "Job":
                yield each, each["spec"]["template"]["spec"]


def named(kind: str, name: str) -> Manifest:
    """Return one of them."""
    (found,) = (each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def judged(folder: Path, *documents: Manifest) -> str:
    """Hold documents against the schemas of two versions of Kubernetes; a field that these do not know is a finding."""
    for number, document in enumerate(documents):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump(document))
    paths = [str(folder / f"{number}.yaml") for number in range(len(documents))]
    newest = findings("kubernetes-validate", "--strict", *paths)
    return newest + findings("kubernetes-validate", "--strict", "--kubernetes-version", OLDEST, *paths)


def test_the_files_are_good_yaml() -> None:
    """Yamllint has nothing to say of them, not even as a warning."""
    assert len(FILES) > 5
    assert not findings("yamllint", "--strict", "-d", STYLE, str(FOLDER))


def test_kubernetes_knows_every_field(tmp_path: Path) -> None:
    """Each document is what the schemas of the oldest and the newest Kubernetes allow, and so is each pod of Dask's."""
    known = [each for each in manifests() if each["kind"] != "DaskCluster"]
    pods_of_dask = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": pod}
        for number, pod in enumerate(pod for made, pod in pods() if made["kind"] == "DaskCluster")
    ]
    assert len(pods_of_dask) == 2
    assert not judged(tmp_path, *known, *pods_of_dask)


def test_an_unknown_field_is_a_finding(tmp_path: Path) -> None:
    """A word that Kubernetes would drop in silence, and a value of another type, are found."""
    worker = named("StatefulSet", "worker")
    assert not judged(tmp_path, worker)
    assert "replica" in judged(tmp_path, {**worker, "spec": {**worker["spec"], "replica": 3}})
    assert "replicas" in judged(tmp_path, {**worker, "spec": {**worker["spec"], "replicas": "three"}})


def test_a_dask_cluster_has_the_operators_fields() -> None:
    """Around the pods are the fields that the operator's definition has, and the ports that it looks for by name."""
    cluster = named("DaskCluster", "sweeps")
    assert cluster["apiVersion"] == "kubernetes.dask.org/v1"
    assert {role: set(found) for role, found in cluster["spec"].items()} == {
        "scheduler": {"spec", "service"},
        "worker": {"replicas", "spec"},
    }
    service = cluster["spec"]["scheduler"]["service"]
    assert service["selector"] == {"dask.org/cluster-name": "sweeps", "dask.org/component": "scheduler"}
    ports = {
        port["name"]: port["containerPort"] for port in cluster["spec"]["scheduler"]["spec"]["containers"][0]["ports"]
    }
    assert ports == {port["name"]: port["port"] for port in service["ports"]}
    assert ports["tcp-comm"] == 8786
    (policy,) = (each for each in manifests() if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "dask")
    allowed = [each["podSelector"]["matchLabels"] for each in policy["spec"]["ingress"][0]["from"]]
    assert policy["spec"]["podSelector"]["matchLabels"] in allowed  # among themselves
    workers = named("StatefulSet", "worker")["spec"]["template"]["metadata"]["labels"]
    assert any(labels.items() <= workers.items() for labels in allowed)


def test_pods_may_do_little() -> None:
    """No pod is root, gains privileges or writes but to its volumes; each has bounds, and images of one version."""
    seen = []
    for made, pod in pods():
        about = f"{made['kind']} {made['metadata']['name']}"
        seen.append(about)
        context = pod["securityContext"]
        assert context["runAsNonRoot"], about
        assert context["runAsUser"] > 0, about
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, about
        assert pod["automountServiceAccountToken"] is False, about
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, about
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), about
        assert "memory" in container["resources"]["limits"], about
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, about
        assert re.fullmatch(r"[a-z]+:\d[\d.]*", container["image"]), about
        if container["image"].startswith("idxflow"):
            assert container["image"] == f"idxflow:{PROJECT['version']}", about
            assert f"USER {context['runAsUser']}\n" in (ROOT / "Dockerfile").read_text()
        if made["kind"] in ("Deployment", "StatefulSet"):
            assert {"livenessProbe", "startupProbe"} & container.keys(), about
    assert len(seen) == 6
    assert named("Namespace", "idxflow")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_secrets_are_named_and_nowhere_told() -> None:
    """No file holds a secret; each that a pod needs is one of those that the page has people make."""
    assert "Secret" not in {each["kind"] for each in manifests()}
    wanted = set()
    for _, pod in pods():
        for each in pod["containers"][0].get("env", []):
            secret = each.get("valueFrom", {}).get("secretKeyRef")
            assert secret or not re.search(r"PASSWORD|AUTH|KEY|SECRET", each["name"]), each["name"]
            if secret:
                wanted.add((secret["name"], secret["key"]))
    made = set()
    for block in blocks("docs/cluster.md", "Kubernetes"):
        for name, keys in re.findall(r"create secret generic (\S+)((?:.|\\\n)*?)\n(?!\s*--)", block):
            made |= {(name, key) for key in re.findall(r"--from-(?:file|literal)=([a-z-]+)=", keys)}
    assert wanted == made


def test_manifests_page_and_compose_file_take_the_same_steps() -> None:
    """What is deployed is what the page types for two machines, and each variable is one that a page explains."""
    (container,) = named("Job", f"deployments-{PROJECT['version']}")["spec"]["template"]["spec"]["containers"]
    script = re.sub(r"\\\n\s*", "", container["args"][-1])
    once, each = blocks("docs/cluster.md", "Two machines")[1:3]
    for command in commands(once):
        assert " ".join(command) in script
    (typed,) = commands(each)
    worker = named("StatefulSet", "worker")["spec"]["template"]["spec"]["containers"][0]
    assert worker["args"] == [word.replace("NAME", "$(POD_NAME)") for word in typed] + ["--with-healthcheck"]
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("team.md", "remote.md", "cluster.md"))
    variables = {each["name"] for _, pod in pods() for each in pod["containers"][0].get("env", [])}
    variables |= named("ConfigMap", "remote")["data"].keys()
    told = {name for name in variables if name.startswith(("PREFECT_", "IDXFLOW_", "AWS_"))}
    assert len(told) > 15
    assert told <= set(re.findall(r"\w+", pages)) | {"PREFECT_HOME"}
    for path in FILES:
        assert f"docs/kubernetes/{path.name}" in GUIDE


def test_the_guard_lets_the_probe_through() -> None:
    """The name that the probe of the server's pod gives is one of the server's own; the pod's address alone is not."""
    (container,) = named("Deployment", "server")["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value", "") for each in container["env"]}
    addresses = [
        told["PREFECT_API_URL"],
        told["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"],
        told["PREFECT_SERVER_UI_API_URL"],
    ]
    app = Starlette(routes=[Route("/api/health", lambda _: PlainTextResponse("true"))])
    guard = httpx.ASGITransport(guarded(app, 4200, addresses))

    async def status(path: str, host: str) -> int:
        async with httpx.AsyncClient(transport=guard, base_url="http://10.244.0.7:4200") as client:
            return (await client.get(path, headers={"Host": host})).status_code

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        headers = {header["name"]: header["value"] for header in asked["httpHeaders"]}
        assert asyncio.run(status(asked["path"], headers["Host"])) == 200
        assert asyncio.run(status(asked["path"], "10.244.0.7:4200")) == 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_stays_together_is_in_one_namespace(path: Path) -> None:
    """Everything but the namespace itself says in which it is; a selector finds the pods beside it."""
    documents = list(yaml.safe_load_all(path.read_text()))
    for each in documents:
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "idxflow"
        if each["kind"] in ("Deployment", "StatefulSet"):
            labels = each["spec"]["template"]["metadata"]["labels"]
            assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
            services = [made for made in documents if made["kind"] == "Service"]
            assert [made["spec"]["selector"].items() <= labels.items() for made in services] == [True]
            ports = {port["name"] for port in each["spec"]["template"]["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in services[0]["spec"]["ports"]} <= ports
    assert json.dumps(documents)  # plain data, without dates that YAML would make of words
