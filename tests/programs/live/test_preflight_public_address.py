"""What `make preflight` says of a cluster whose Grafana is to be reached by everybody."""

from __future__ import annotations

import copy
import dataclasses
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from scripts.core.yamlfile import Json, load_all
from scripts.live.preflight import checks, custom_resources, public_address, resolver
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model import requirements, schemas
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, Item
from scripts.model.requirements import Requirements
from tests.fixtures import FROZEN
from tests.programs import cluster_syncs
from tests.programs.live.preflight_cluster import (
    NODES,
    Lists,
    assert_is,
    judged,
    named,
    namespace,
    node,
    oke,
    seen,
    workload,
)

pytest_plugins = ("tests.programs.live.preflight_cluster",)
HOST, ADDRESS = "grafana.example.com", "203.0.113.10"
GATEWAY_API, CERT_MANAGER = public_address.GATEWAY_API, public_address.CERT_MANAGER
CLASSES, GATEWAYS = public_address.CLASSES, public_address.GATEWAYS
LINES = {check.name for check in checks.CHECKS if check.section == "Public address"}
Names = dict[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def public(repository: Repository, rendered: list[Cluster]) -> Requirements:
    """A cluster that takes everything in: a door, cert-manager, a tunnel."""
    assert rendered
    everything = dataclasses.replace(
        cluster_syncs.named(repository, cluster_syncs.OPTIONS), cluster="every"
    )
    return requirements.read("every", cluster_syncs.holding(repository, everything))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The names that the resolver knows, with their addresses; those of none are empty."""
    names: Names = {HOST: (ADDRESS,)}

    def getaddrinfo(host: str, *_: object, **__: object) -> list[Any]:
        if not host[0].isdigit() and not names.get(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(2, 1, 6, "", (one, 0)) for one in names.get(host, (host,))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def only(required: Requirements, keeps: Callable[[Item], bool], *more: Json) -> Requirements:
    """The requirements without some of the objects, and with others."""
    old = required.rendered
    items = (*filter(keeps, old.items), *map(Item, more))
    return dataclasses.replace(required, rendered=Cluster(old.repository, old.sync, items))


def without(required: Requirements, *releases: str) -> Requirements:
    """The requirements without what some releases bring."""
    return only(required, lambda item: item.release not in releases)


def crds_of(group: str, *kinds: str) -> list[Json]:
    paths = [schemas.crd(group, kind) for kind in kinds]
    return [json.loads(path.read_text()) for path in paths if path]


def gateway_crds() -> list[Json]:
    return crds_of(GATEWAY_API, "Gateway", "GatewayClass", "HTTPRoute")


def condition(kind: str, status: str = "True", message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": kind, "message": message}


def in_cluster(required: Requirements, kind: str, **status: Json) -> Json:
    """An object that is applied, as the cluster has it."""
    item = copy.deepcopy(dict(required.rendered.of(kind)[0].manifest))
    return {**item, "status": status}


def own_gateway(name: str = "traefik", host: str = "*.example.com", space: str = "All") -> Json:
    """A Gateway that was there before, with a listener for http and one for https."""
    allowed = {"namespaces": {"from": space}}
    both = [("web", "HTTP", 80), ("websecure", "HTTPS", 443)]
    return {
        "metadata": named(name, "gateway"),
        "spec": {
            "gatewayClassName": "envoy",
            "listeners": [
                {"name": n, "protocol": p, "port": port, "hostname": host, "allowedRoutes": allowed}
                for n, p, port in both
            ],
        },
        "status": {
            "addresses": [{"type": "IPAddress", "value": ADDRESS}],
            "conditions": [condition("Accepted"), condition("Programmed")],
            "listeners": [
                {"name": n, "attachedRoutes": 1, "conditions": [condition("Programmed")]}
                for n, *_ in both
            ],
        },
    }


def balanced(name: str, space: str, *addresses: Json, kind: str = "lb") -> Json:
    return {
        "metadata": named(
            name, space, annotations={"oci.oraclecloud.com/load-balancer-type": kind}
        ),
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": list(addresses)} if addresses else {}},
    }


def controller(space: str, ready: int = 1) -> Json:
    one = workload("cert-manager", space, ready)
    image = "quay.io/jetstack/cert-manager-controller:v1.19.0"
    return {**one, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}


def fresh() -> Lists:
    """Oracle's cluster before the first sync; somebody has applied the Gateway API's CRDs."""
    lists = oke()
    for item in lists["nodes"]:
        item["spec"]["providerID"] = "ocid1.instance.oc1.eu-frankfurt-1.x"
    lists["customresourcedefinitions"] += gateway_crds()
    return {
        **lists,
        CLASSES: [],
        GATEWAYS: [],
        "services": [],
        "ingresses": [],
        "ingressclasses": [],
    }


def state(**changes: Json) -> ClusterState:
    return seen(fresh(), **changes)


def with_crds(*items: Json) -> ClusterState:
    return state(customresourcedefinitions=[*oke()["customresourcedefinitions"], *items])


def test_a_grafana_that_is_reached_from_inside_has_no_lines(fitted: Requirements) -> None:
    assert LINES
    assert not LINES & {check.name for check, _ in checks.run(fitted, seen())}
    assert "services" not in checks.resources(fitted)


def test_before_the_first_sync_only_the_address_is_awaited(public: Requirements) -> None:
    found = {check.name: str(v.status) for check, v in checks.run(public, state())}
    assert {name for name in LINES & found.keys() if found[name] != "ok"} == {"name and address"}
    assert found["name and address"] == "warning"
    assert LINES - found.keys() == {"IngressClass"}
    assert {*fresh()} - {"ingressclasses"} == {*checks.resources(public)}


def test_after_the_sync_everything_is_there(public: Requirements) -> None:
    door = in_cluster(public, "Gateway", conditions=[condition("Programmed")])
    taken = in_cluster(public, "GatewayClass", conditions=[condition("Accepted")])
    taken["metadata"]["annotations"] = of_helm("traefik", "gateway")
    brought = [
        copy.deepcopy(dict(i.manifest)) for i in public.rendered.of("CustomResourceDefinition")
    ]
    for one in brought:
        one["metadata"]["annotations"] = of_helm("cert-manager", "cert-manager")
    synced = {
        **fresh(),
        "customresourcedefinitions": [*fresh()["customresourcedefinitions"], *brought],
        CLASSES: [taken],
        GATEWAYS: [door],
        "services": [balanced("traefik", "gateway", {"ip": ADDRESS})],
    }
    found = {check.name: v for check, v in checks.run(public, seen(synced)) if check.name in LINES}
    assert {str(v.status) for v in found.values()} == {"ok"}, found
    assert found["name and address"].text == f"{HOST} is {ADDRESS}, as Service gateway/traefik has"
    assert f"web (HTTP 8000, {HOST}, 0 routes)" in found["Gateway"].text


def of_helm(release: str, space: str) -> dict[str, str]:
    return {custom_resources.HELM_NAME: release, custom_resources.HELM_NAMESPACE: space}


@pytest.mark.parametrize("name", sorted(LINES - {"IngressClass"}))
def test_what_may_not_be_read_is_missing(public: Requirements, name: str) -> None:
    (check,) = (one for one in checks.CHECKS if one.name == name)
    for resource in check.reads:
        cluster = dataclasses.replace(state(), forbidden=frozenset({resource}))
        assert_is(public, cluster, name, "missing", f"not checked: {resource} may not be read")


def test_the_gateway_api_is_there_in_the_version_that_is_checked(public: Requirements) -> None:
    version = gateway_crds()[0]["metadata"]["annotations"][public_address.BUNDLE]
    command = f"--server-side -f https://.+/{version}/standard-install.yaml"
    text = f"no CRD of it is there: Gateway, GatewayClass, HTTPRoute cannot.+{command}"
    assert_is(public, with_crds(), "Gateway API", "missing", text)
    half = with_crds(*crds_of(GATEWAY_API, "Gateway", "GatewayClass"))
    text = f"does not know HTTPRoute {GATEWAY_API}/v1; .+{command}"
    assert_is(public, half, "Gateway API", "missing", text)
    old, newer, lacking = gateway_crds(), gateway_crds(), gateway_crds()
    for one in old:
        one["metadata"]["annotations"][public_address.BUNDLE] = "v1.2.1"
    assert_is(public, with_crds(*old), "Gateway API", "warning", rf"^v1\.2\.1, and .+{version}")
    for one in newer:
        one["metadata"]["annotations"][public_address.BUNDLE] = "v1.10.0"
    assert_is(public, with_crds(*newer), "Gateway API", "ok", r"^v1\.10\.0")
    (served,) = (v for v in lacking[2]["spec"]["versions"] if v["name"] == "v1")
    del served["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["hostnames"]
    text = "does not know HTTPRoute spec.hostnames"
    assert_is(public, with_crds(*lacking), "Gateway API", "missing", text)


def test_cert_manager_waits_for_the_gateway_api_without_a_gateway(public: Requirements) -> None:
    alone = only(public, lambda i: i.kind not in {"Gateway", "GatewayClass", "HTTPRoute"})
    text = "no CRD of it is there: cert-manager does not start"
    assert_is(alone, with_crds(), "Gateway API", "missing", text)
    neither = without(alone, "cert-manager")
    assert "Gateway API" not in {check.name for check in checks.applicable(neither)}


def test_a_gateway_class_has_one_owner_that_accepts_it(public: Requirements) -> None:
    assert_is(public, state(), "GatewayClass", "ok", "traefik comes with the release traefik")
    theirs = in_cluster(public, "GatewayClass", conditions=[condition("Accepted")])
    text = "traefik belongs to nobody that says so, and traefik brings it, too"
    assert_is(public, state(**{CLASSES: [theirs]}), "GatewayClass", "missing", text)
    ours = in_cluster(
        public, "GatewayClass", conditions=[condition("Accepted", "Unknown", "Waiting")]
    )
    ours["metadata"]["annotations"] = of_helm("traefik", "gateway")
    text = "traefik is not Accepted: Accepted Waiting; see the log of .+ traefik.io/gateway"
    assert_is(public, state(**{CLASSES: [ours]}), "GatewayClass", "warning", text)
    other = {**theirs, "metadata": named("envoy")}
    nobody = only(public, lambda item: item.kind != "GatewayClass")
    text = "no GatewayClass traefik, which Gateway gateway/traefik names; there is envoy"
    assert_is(nobody, state(**{CLASSES: [other]}), "GatewayClass", "missing", text)


def test_a_gateway_of_the_cluster_takes_the_routes(public: Requirements) -> None:
    own = without(public, "traefik")
    text = "no Gateway gateway/traefik, which HTTPRoute .+; there is gateway/edge; patch spec.par"
    assert_is(own, state(**{GATEWAYS: [own_gateway("edge")]}), "Gateway", "missing", text)
    text = r"websecure \(HTTPS 443, \*\.example\.com, 1 route\)"
    assert_is(own, state(**{GATEWAYS: [own_gateway()]}), "Gateway", "ok", text)
    assert "GatewayClass" not in {check.name for check in checks.applicable(own)}
    host = own_gateway(host="*.acme.test")
    text = r"its listener websecure has the host \*\.acme\.test: .+ gets no request"
    assert_is(own, state(**{GATEWAYS: [host]}), "Gateway", "missing", text)
    same = own_gateway(space="Same")
    text = "takes routes from monitoring: it does not, so HTTPRoute monitoring/grafana.+; admit"
    assert_is(own, state(**{GATEWAYS: [same]}), "Gateway", "missing", text)
    https = own_gateway()
    del https["spec"]["listeners"][1]
    text = "is on the listener websecure: .+ has no such listener.+; use one of 80, web"
    assert_is(own, state(**{GATEWAYS: [https]}), "Gateway", "missing", text)
    challenged = own_gateway()
    challenged["spec"]["listeners"][0]["protocol"] = "HTTPS"
    text = "Let's Encrypt asks at port 80, and there is no such listener"
    assert_is(own, state(**{GATEWAYS: [challenged]}), "Gateway", "missing", text)


def test_a_gateway_admits_namespaces_by_the_labels_that_the_cluster_has(
    public: Requirements,
) -> None:
    own, chosen = without(public, "traefik"), own_gateway(space="Selector")
    for one in chosen["spec"]["listeners"]:
        one["allowedRoutes"]["namespaces"]["selector"] = {"matchLabels": {"edge": "open"}}
    changes = {GATEWAYS: [chosen], "namespaces": [namespace("monitoring")]}
    assert_is(own, state(**changes), "Gateway", "missing", "takes routes from monitoring")
    changes["namespaces"] = [namespace("monitoring", edge="open")]
    assert_is(own, state(**changes), "Gateway", "ok", "1 route")


def test_what_the_status_of_a_gateway_says_is_told(public: Requirements) -> None:
    own, one = without(public, "traefik"), own_gateway()
    one["status"]["conditions"][1] = condition("Programmed", "False", "no address")
    text = "gateway/traefik: not Programmed: Programmed no address; see `kubectl --namespace=gate"
    assert_is(own, state(**{GATEWAYS: [one]}), "Gateway", "warning", text)
    one = own_gateway()
    one["status"]["listeners"][1]["conditions"] = [
        condition("ResolvedRefs", "False", "secret grafana-public-tls not found")
    ]
    text = "its listener websecure is not ResolvedRefs: .+ grafana-public-tls not found"
    assert_is(own, state(**{GATEWAYS: [one]}), "Gateway", "warning", text)


def test_one_cert_manager_owns_the_crds(public: Requirements) -> None:
    assert_is(
        public, state(), "cert-manager", "ok", "comes with the release cert-manager, 0 of 6 CRDs"
    )
    theirs = crds_of(CERT_MANAGER, "Certificate", "Issuer")
    for one in theirs:
        # As in the manifests of its project, which somebody has applied.
        one["metadata"]["labels"] = {"app.kubernetes.io/instance": "cert-manager"}
    text = "belong to nobody that says so, and cert-manager brings them, too; take .+ out"
    assert_is(public, with_crds(*theirs), "cert-manager", "missing", text)
    for one in theirs:
        one["metadata"]["annotations"] = of_helm("certs", "infra")
    text = "belong to Helm release infra/certs"
    assert_is(public, with_crds(*theirs), "cert-manager", "missing", text)
    for one in theirs:
        one["metadata"]["annotations"] = of_helm("cert-manager", "cert-manager")
    assert_is(public, with_crds(*theirs), "cert-manager", "ok", "2 of 6 CRDs are there")
    second = state(deployments=[*oke()["deployments"], controller("infra")])
    text = "Deployment infra/cert-manager is another one"
    assert_is(public, second, "cert-manager", "missing", text)
    first = state(deployments=[*oke()["deployments"], controller("cert-manager")])
    assert_is(public, first, "cert-manager", "ok", "comes with")


def test_a_cert_manager_of_the_cluster_knows_the_certificate(public: Requirements) -> None:
    own = without(public, "cert-manager")
    text = "does not know Certificate cert-manager.io/v1, Issuer cert-manager.io/v1; install"
    assert_is(own, state(), "cert-manager", "missing", text)
    lists = fresh()
    lists["customresourcedefinitions"] += crds_of(CERT_MANAGER, "Certificate", "Issuer")
    assert_is(own, seen(lists), "cert-manager", "missing", "its CRDs are there, and no controller")
    lists["deployments"].append(controller("infra", ready=0))
    text = "Deployment infra/cert-manager is not ready: no certificate is issued"
    assert_is(own, seen(lists), "cert-manager", "missing", text)
    lists["deployments"][-1] = controller("infra")
    assert_is(own, seen(lists), "cert-manager", "ok", "Deployment infra/cert-manager is there")
    neither = only(own, lambda item: CERT_MANAGER not in str(item.manifest["apiVersion"]))
    assert "cert-manager" not in {check.name for check in checks.applicable(neither)}


def test_oracle_s_free_load_balancer_is_taken_once(public: Requirements) -> None:
    assert_is(public, state(), "load balancer", "ok", "asks for Oracle's free one")
    ours = balanced("traefik", "gateway")
    shop = balanced("frontend", "default", {"ip": "203.0.113.7"})
    cluster = state(services=[ours, shop])
    text = "^Service default/frontend has Oracle's one free.+oci-network-load-balancer"
    assert_is(public, cluster, "load balancer", "warning", text)
    network = state(services=[ours, balanced("frontend", "default", kind="nlb")])
    assert_is(public, network, "load balancer", "ok", "no other Service")
    elsewhere = state(services=[ours, shop], nodes=[node(NODES[0])])
    assert_is(public, elsewhere, "load balancer", "ok", "Service gateway/traefik asks for one")
    laptop = node(NODES[0])
    laptop["spec"]["providerID"] = "kind://docker/kind/kind-control-plane"
    text = "kind makes none, .+ never gets an address; take .+cloudflared"
    assert_is(public, state(nodes=[laptop]), "load balancer", "warning", text)
    asked = copy.deepcopy(dict(service(public).manifest))
    asked["metadata"]["annotations"] = {"oci.oraclecloud.com/load-balancer-type": "nlb"}
    other = only(public, lambda item: item is not service(public), asked)
    text = "asks for a network load balancer"
    assert_is(other, cluster, "load balancer", "ok", text)


def service(required: Requirements) -> Item:
    (found,) = (i for i in required.rendered.of("Service") if i.spec.get("type") == "LoadBalancer")
    return found


def test_the_name_leads_to_the_door(public: Requirements, known: Names) -> None:
    waiting = state(services=[balanced("traefik", "gateway")])
    text = f"{HOST} is {ADDRESS}, and Service gateway/traefik has no address yet; "
    command = "`kubectl --namespace=gateway get services traefik`"
    name = "name and address"
    assert_is(public, state(), name, "warning", f"{text}sync, then enter what {command}")
    assert_is(public, waiting, name, "warning", f"{text}see why: {command}")
    there = state(services=[balanced("traefik", "gateway", {"ip": ADDRESS})])
    assert_is(public, there, name, "ok", f"{HOST} is {ADDRESS}, as Service gateway/traefik has")
    known[HOST] = ()
    text = f"{HOST} does not resolve, and Service gateway/traefik has {ADDRESS}; enter"
    assert_is(public, there, name, "missing", text)
    known[HOST] = (ADDRESS, "2001:db8::1")
    text = f"is 2001:db8::1, {ADDRESS}, and Service gateway/traefik has {ADDRESS}; .+AAAA"
    assert_is(public, there, name, "warning", text)
    known["lb.cloud.test"] = known[HOST]
    hosted = state(services=[balanced("traefik", "gateway", {"hostname": "lb.cloud.test"})])
    assert_is(public, hosted, name, "ok", "as Service gateway/traefik has")


def test_a_gateway_or_an_ingress_of_the_cluster_has_the_address(
    public: Requirements, known: Names
) -> None:
    own, name = without(public, "traefik"), "name and address"
    there = state(**{GATEWAYS: [own_gateway()]})
    assert_is(own, there, name, "ok", "as Gateway gateway/traefik has")
    known[HOST] = ("198.51.100.9",)
    assert_is(own, there, name, "warning", f"and Gateway gateway/traefik has {ADDRESS}; correct")
    text = (FROZEN / "base/optional/public/ingress/ingress.yaml").read_text()
    ingress, _ = load_all(text.replace("copied", HOST), "ingress.yaml")
    routed = only(own, lambda item: item.kind != "HTTPRoute", ingress)
    assert "Gateway" not in {check.name for check in checks.applicable(routed)}
    text = "no IngressClass nginx, which Ingress monitoring/grafana names; there is haproxy"
    haproxy = state(ingressclasses=[{"metadata": named("haproxy")}])
    assert_is(routed, haproxy, "IngressClass", "missing", text)
    nginx = state(ingressclasses=[{"metadata": named("nginx")}])
    assert_is(routed, nginx, "IngressClass", "ok", "nginx")
    status = {"loadBalancer": {"ingress": [{"ip": known[HOST][0]}]}}
    answered = state(ingresses=[{"metadata": named("grafana", "monitoring"), "status": status}])
    assert_is(routed, answered, name, "ok", "as Ingress monitoring/grafana has")


def test_a_tunnel_has_no_address_here(public: Requirements, known: Names) -> None:
    doors = {"HTTPRoute", "Gateway", "GatewayClass"}
    tunnel = only(without(public, "traefik", "cert-manager"), lambda i: i.kind not in doors)
    text = "and what answers for it is not of this cluster"
    assert_is(tunnel, state(), "name and address", "ok", text)
    known[HOST] = ()
    text = f"{HOST} does not resolve, .+ where the tunnel"
    assert_is(tunnel, state(), "name and address", "warning", text)


def test_an_address_of_this_machine_is_told(public: Requirements) -> None:
    def renamed(item: Item) -> Item:
        text = json.dumps(item.manifest).replace(f"https://{HOST}", "https://localhost:3000")
        return Item(json.loads(text), item.release)

    old = public.rendered
    items = tuple(renamed(i) if "grafana.ini" in i.data else i for i in old.items)
    here = dataclasses.replace(public, rendered=Cluster(old.repository, old.sync, items))
    text = "people are told to open localhost:3000; set GRAFANA_URL: https://<host> in base/appl"
    assert_is(here, state(), "name and address", "missing", text)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(*_: object, **__: object) -> list[Any]:
        time.sleep(5)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    monkeypatch.setattr(resolver, "TIMEOUT", 0.05)
    began = time.monotonic()
    assert resolver.addresses(HOST) == frozenset()
    assert time.monotonic() - began < 2


def test_secrets_of_the_public_parts_are_among_those_looked_for(public: Requirements) -> None:
    _, text = judged(public, state(), "Secrets")
    assert "monitoring/cloudflared is not there" in text
    assert "monitoring/grafana-github is not there (optional)" in text
