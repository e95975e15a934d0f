"""Is there room left, and if not, who takes it?"""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import bad_from, good_from, states
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import height_of_table, row
from dashboards_py.links import data_link, panel_link
from dashboards_py.panels import (
    Column,
    gauge,
    logs,
    show,
    stacked_bars,
    stat,
    state_timeline,
    table,
    timeseries,
)
from dashboards_py.queries import cluster, lines, workloads
from dashboards_py.units import BYTES, BYTES_PER_SECOND, CORES, COUNT, PACKETS_PER_SECOND, SHARE
from dashboards_py.variables import any_namespace_variable, node_variable

FULL = bad_from(warning=0.8, critical=0.9)
# Small clusters are nearly all asked for, which costs nothing until a pod more is to start.
REQUESTED = bad_from(warning=0.95, critical=1)
# Up to 1 nodes and volumes are free; above, they cost, or the provider stops nodes.
BEYOND = bad_from(critical=1.01)
# In a link of a table: the namespace of the same row.
OF_ROW = "${__data.fields.Namespace}"

THIS_NAMESPACE = data_link("This namespace alone", "cluster-capacity", namespace="${__value.raw}")
OF_NAMESPACE = data_link(
    "This namespace alone", "cluster-capacity", namespace="${__field.labels.namespace}"
)
OF_NODE = data_link("This node alone", "cluster-capacity", node="${__field.labels.node}")
CLUSTER, PODS_WAITING = "Namespaces", "Pods that wait"
NODES, VOLUMES = "Nodes in figures", "Volumes"
WHO = panel_link("Who takes it", "cluster-capacity", CLUSTER, "namespace", "node")
WAITING = panel_link("Which, and why", "cluster-capacity", PODS_WAITING, "namespace", "node")
WHICH_NODE = panel_link("Which node", "cluster-capacity", NODES, "namespace", "node")
WHICH_VOLUME = panel_link("Which volume", "cluster-capacity", VOLUMES, "namespace", "node")
LOG_LINES = data_link("Log lines of this pod", "todo-logs", namespace=OF_ROW, pod="${__value.raw}")

now = row(
    stat(
        "Nodes",
        show(cluster.nodes_ready(), "ready", good_from(1)),
        show(cluster.nodes_not_ready(), "not ready", bad_from(critical=1)),
        show(cluster.nodes_under_pressure(), "under pressure", bad_from(critical=1)),
        description="Under pressure: by the kubelet's own word short of memory, disk or process "
        "numbers; it then evicts pods.",
        unit=COUNT,
        width=10,
        links=[WHICH_NODE],
    ),
    stat(
        "Pods",
        show(cluster.pods_in("Running"), "running", good_from(1)),
        show(cluster.pods_in("Pending"), "pending", bad_from(warning=1)),
        show(cluster.pods_unschedulable(), "fit nowhere", bad_from(critical=1)),
        show(cluster.pods_in("Failed"), "failed", bad_from(warning=1)),
        description="Pending: not started yet. Fit nowhere: no node has the CPU, memory or volume "
        "that they request. Failed: ended badly or evicted.",
        unit=COUNT,
        links=[WAITING],
    ),
    height=4,
)

room = row(
    gauge(
        "CPU",
        show(cluster.used_share("cpu"), "used", FULL),
        show(cluster.requested_share("cpu"), "requested"),
        description="Share of all nodes' allocatable CPU. Once all is requested, no further "
        "pod is scheduled, however idle the nodes are.",
        thresholds=REQUESTED,
        links=[WHO],
    ),
    gauge(
        "Memory",
        show(cluster.used_share("memory"), "used", FULL),
        show(cluster.requested_share("memory"), "requested"),
        description="Share of all nodes' allocatable memory. Used includes the system, and "
        "leaves out what the kernel can take back.",
        thresholds=REQUESTED,
        links=[WHO],
    ),
    gauge(
        "Fullest",
        show(cluster.fullest_volume(), "volume"),
        show(cluster.fullest_filesystem(), "node disk"),
        show(cluster.fullest_node(), "pods on a node"),
        description="The fullest of each kind: a volume, a node's own file system, and a node "
        "measured in pods, of which each node runs a fixed number at most.",
        width=7,
        thresholds=FULL,
        links=[WHICH_VOLUME, WHICH_NODE],
    ),
    gauge(
        "Free tier",
        show(cluster.free_tier_share("cpu"), "CPU"),
        show(cluster.free_tier_share("memory"), "memory"),
        show(cluster.free_tier_storage_share(), "block storage"),
        description="Share of what the provider gives for nothing (`tier` in the environment's "
        "budget.yaml) that the nodes and volumes are, a boot volume for each node among them. A "
        "volume counts as the smallest that is billed, at least. Full is fine; above 100% it "
        "costs, or nodes are stopped. Oracle also stops nodes whose CPU, memory and network all "
        "stay below 20% for a week.",
        width=7,
        thresholds=BEYOND,
        links=[WHICH_NODE],
        no_value="no tier in the environment's budget.yaml",
    ),
    height=5,
)

usage = row(
    timeseries(
        "CPU of the cluster",
        show(cluster.allocatable("cpu"), "allocatable"),
        show(cluster.limited("cpu"), "limits"),
        show(cluster.requested("cpu"), "requests"),
        show(cluster.used("cpu"), "used"),
        description="Of the chosen nodes. Limits count only containers that have one.",
        unit=CORES,
        links=[WHO],
    ),
    timeseries(
        "Memory of the cluster",
        show(cluster.allocatable("memory"), "allocatable"),
        show(cluster.limited("memory"), "limits"),
        show(cluster.requested("memory"), "requests"),
        show(cluster.used("memory"), "used"),
        description="Of the chosen nodes. Limits above allocatable are a bet that not everyone "
        "needs theirs at the same time.",
        unit=BYTES,
        links=[WHO],
    ),
    timeseries(
        "Time spent waiting",
        show(cluster.waiting_for_cpu(), "{{node}} CPU"),
        show(cluster.waiting_for_memory(), "{{node}} memory"),
        show(cluster.waiting_for_disk(), "{{node}} disk"),
        description="Share of the time in which something waited: what a lack of CPU, memory or "
        "disk really costs. Linux's pressure stall information.",
        unit=SHARE,
        thresholds=bad_from(warning=0.25, critical=0.5),
        links=[OF_NODE],
        no_value="no data: the kernel needs psi=1",
    ),
    title="Use, requests and limits",
)

nodes = row(
    table(
        NODES,
        {"node": "Node"},
        Column("CPU used", cluster.node_used_share("cpu"), SHARE, FULL, coloured=True),
        Column(
            "CPU asked",
            cluster.node_requested_share("cpu"),
            SHARE,
            REQUESTED,
            coloured=True,
        ),
        Column("Memory used", cluster.node_used_share("memory"), SHARE, FULL, coloured=True),
        Column(
            "Memory asked",
            cluster.node_requested_share("memory"),
            SHARE,
            REQUESTED,
            coloured=True,
        ),
        Column("Pods", cluster.node_pods()),
        Column("Of most", cluster.node_pods_share(), SHARE, FULL, coloured=True),
        description="Shares of what pods of a node may have: used, requested, and pods against "
        "the most that the node runs.",
        sort="Memory used",
        links=[data_link("This node alone", "cluster-capacity", node="${__value.raw}")],
    ),
    title="Each node",
    height=height_of_table(4),
)

node_states = row(
    state_timeline(
        "Node conditions",
        show(cluster.node_readiness(), "{{node}} ready"),
        show(cluster.node_conditions(), "{{node}} {{condition}}"),
        description="Red: not ready, or under pressure, or nobody knows.",
        mappings=states(one="well", zero="not well"),
        links=[OF_NODE],
    ),
    timeseries(
        "Node disks",
        show(cluster.filesystem_use(), "{{node}} {{mountpoint}}"),
        least_step="5m",
        description="Share of each node's own file systems that is taken. The kubelet evicts pods "
        "and deletes images when one is nearly full.",
        unit=SHARE,
        maximum=1,
        thresholds=FULL,
        links=[OF_NODE],
    ),
    height=7,
)

namespaces = row(
    table(
        CLUSTER,
        {"namespace": "Namespace"},
        Column("Pods", cluster.running_pods("namespace")),
        Column("CPU", cluster.pod_cpu("namespace"), CORES),
        Column("CPU asked", cluster.pod_requests("cpu", "namespace"), CORES),
        Column("CPU limit", cluster.pod_limits("cpu", "namespace"), CORES),
        Column("Memory", cluster.pod_memory("namespace"), BYTES),
        Column("Memory asked", cluster.pod_requests("memory", "namespace"), BYTES),
        Column("Memory limit", cluster.pod_limits("memory", "namespace"), BYTES),
        description="What runs, what it uses, what it has asked for (requests), and its limits.",
        sort="Memory",
        links=[THIS_NAMESPACE],
    ),
    title="Namespaces, workloads, pods",
    height=9,
)

by_namespace = row(
    timeseries(
        "Memory by namespace",
        show(cluster.pod_memory("namespace"), "{{namespace}}"),
        description="Working set of all containers.",
        unit=BYTES,
        links=[OF_NAMESPACE],
    ),
    timeseries(
        "CPU by namespace",
        show(cluster.pod_cpu("namespace"), "{{namespace}}"),
        description="Cores in use by all containers.",
        unit=CORES,
        links=[OF_NAMESPACE],
    ),
    height=8,
)

workload_figures = row(
    table(
        "Workloads",
        {"namespace": "Namespace", "workload": "Workload"},
        Column("Pods", cluster.running_pods("namespace", "workload")),
        Column("CPU", cluster.pod_cpu("namespace", "workload"), CORES),
        Column("CPU asked", cluster.pod_requests("cpu", "namespace", "workload"), CORES),
        Column("Memory", cluster.pod_memory("namespace", "workload"), BYTES),
        Column("Memory asked", cluster.pod_requests("memory", "namespace", "workload"), BYTES),
        Column("Memory limit", cluster.pod_limits("memory", "namespace", "workload"), BYTES),
        description="Pods added up by what made them.",
        sort="Memory",
        links=[THIS_NAMESPACE],
    ),
    height=9,
)

pod_figures = row(
    table(
        "Pods in figures",
        {"pod": "Pod", "namespace": "Namespace", "node": "Node"},
        Column("CPU", cluster.pod_cpu("namespace", "pod"), CORES),
        Column("Memory", cluster.pod_memory("namespace", "pod"), BYTES),
        Column("Memory asked", cluster.pod_requests("memory", "namespace", "pod"), BYTES),
        Column("Memory limit", cluster.pod_limits("memory", "namespace", "pod"), BYTES),
        Column("", cluster.pod_nodes()),
        description="Sidecars included.",
        sort="Memory",
        links=[LOG_LINES],
        column_widths={"Pod": 400},
    ),
    height=10,
)

waiting = row(
    table(
        PODS_WAITING,
        {"pod": "Pod", "namespace": "Namespace"},
        Column("Pending", cluster.pods_pending(), allow_empty="every pod is started"),
        Column(
            "Fits nowhere",
            cluster.pods_without_a_node(),
            thresholds=bad_from(critical=1),
            coloured=True,
            allow_empty="every pod has a node",
        ),
        description="Pods that are not started, and those among them that fit on no node.",
        sort="Fits nowhere",
        width=12,
        links=[LOG_LINES],
        no_value="no pod waits",
    ),
    table(
        "Replicas missing",
        {"deployment": "Deployment", "namespace": "Namespace"},
        Column(
            "Missing",
            cluster.replicas_missing(),
            thresholds=bad_from(critical=1),
            coloured=True,
            allow_empty="every replica is available",
        ),
        description="Replicas that a Deployment wants and has not available: not created, not "
        "scheduled, or not ready.",
        sort="Missing",
        width=12,
        links_of={"Namespace": [THIS_NAMESPACE]},
        no_value="every replica is available",
    ),
    table(
        "Restarted containers",
        {
            "pod": "Pod",
            "namespace": "Namespace",
            "container": "Container",
            "waiting": "Waiting for",
            "ended": "Ended by",
        },
        Column(
            "Restarts",
            cluster.restarted(),
            thresholds=bad_from(warning=1),
            coloured=True,
            allow_empty="no container has restarted",
        ),
        Column("", workloads.waiting_reasons(), allow_empty="no container waits"),
        Column("", workloads.last_end_reasons(), allow_empty="no container has ended"),
        description="Restarts in the time range, why a container waits, and why it ended last: "
        "OOMKilled is its memory limit.",
        sort="Restarts",
        width=24,
        column_widths={"Pod": 380},
        links=[LOG_LINES],
        no_value="no container has restarted",
    ),
    title="Pending, restarted, killed",
    height=height_of_table(4),
)

trouble = row(
    stacked_bars(
        "Restarts",
        show(
            cluster.restarts(),
            "{{namespace}} {{container}}",
            allow_empty="no container restarts",
        ),
        description="Restarts in each bar.",
        links=[OF_NAMESPACE],
        no_value="no container restarted in this time range",
    ),
    stacked_bars(
        "Kills for want of memory",
        show(cluster.oom_kills(), "{{node}}"),
        description="Processes that the kernel killed in each bar, at a container's limit or for "
        "want of memory on the node.",
        links=[OF_NODE],
    ),
    timeseries(
        "CPU throttling",
        show(cluster.throttling(), "{{namespace}} {{container}}"),
        description="Share of the periods of 100 ms in which a container was stopped at its CPU "
        "limit. Only containers that have one.",
        unit=SHARE,
        maximum=1,
        thresholds=bad_from(warning=0.25, critical=0.5),
        links=[OF_NAMESPACE],
        no_value="no container has a CPU limit",
    ),
)

storage = row(
    table(
        VOLUMES,
        {"persistentvolumeclaim": "Claim", "namespace": "Namespace"},
        Column("Used", cluster.volume_use(), SHARE, FULL, coloured=True),
        Column("Size", cluster.volume_capacity(), BYTES),
        Column("Inodes used", cluster.volume_inodes(), SHARE, FULL, coloured=True),
        description="Volumes that a pod has mounted. One that runs out of inodes is full, too.",
        sort="Used",
        column_widths={"Namespace": 130},
        links_of={"Namespace": [THIS_NAMESPACE]},
        no_value="no volume is mounted",
    ),
    timeseries(
        "Volume use",
        show(cluster.volume_use(), "{{namespace}} {{persistentvolumeclaim}}"),
        least_step="5m",
        description="Share that is taken.",
        unit=SHARE,
        maximum=1,
        thresholds=FULL,
        links=[OF_NAMESPACE],
        no_value="no volume is mounted",
    ),
    title="Storage",
    height=7,
)

network = row(
    timeseries(
        "Network by node",
        show(cluster.node_received(), "{{node}} in"),
        show(cluster.node_sent(), "{{node}} out"),
        description="All interfaces but the loopback.",
        unit=BYTES_PER_SECOND,
        links=[OF_NODE],
    ),
    timeseries(
        "Network by namespace",
        show(cluster.namespace_traffic(), "{{namespace}}"),
        description="What pods receive and send, added up.",
        unit=BYTES_PER_SECOND,
        links=[OF_NAMESPACE],
    ),
    timeseries(
        "Packets dropped",
        show(cluster.node_receive_dropped(), "{{node}} in"),
        show(cluster.node_send_dropped(), "{{node}} out"),
        description="Packets per second that a node could not take or send.",
        unit=PACKETS_PER_SECOND,
        links=[OF_NODE],
    ),
    title="Network",
)

events = row(
    logs(
        "Events of nodes",
        lines.node_events(),
        description="What Kubernetes reports of nodes and other objects that are in no namespace: "
        "pressure, reboots, evictions, images removed.",
        empty="no event in this time range",
        allow_empty="nothing happens to a node",
    ),
    height=6,
)

DASHBOARD = dashboard(
    uid="cluster-capacity",
    title="Cluster capacity",
    description="Is there room left, and if not, who takes it?",
    folder=Folder.PLATFORM,
    variables=[any_namespace_variable(), node_variable()],
    annotations=rollouts_and_alerts(),
    rows=[
        now,
        room,
        usage,
        nodes,
        node_states,
        events,
        namespaces,
        by_namespace,
        workload_figures,
        pod_figures,
        waiting,
        trouble,
        storage,
        network,
    ],
)
