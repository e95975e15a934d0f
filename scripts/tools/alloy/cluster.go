package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kubernetes answers for pods and events, one set for each case, below a path of its own.
type kubernetes struct {
	*httptest.Server
	mutex  sync.Mutex
	pods   map[string][]corev1.Pod
	events map[string][]corev1.Event
}

func newCluster() *kubernetes {
	k := &kubernetes{pods: map[string][]corev1.Pod{}, events: map[string][]corev1.Event{}}
	k.Server = httptest.NewServer(k)
	return k
}

func (k *kubernetes) add(set string, pod corev1.Pod) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.pods[set] = append(k.pods[set], pod)
}

func (k *kubernetes) happen(set string, event corev1.Event) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.events[set] = append(k.events[set], event)
}

// ServeHTTP implements http.Handler.
func (k *kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "api")
	set = strings.Trim(set, "/")
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("watch") != "" {
		if r.URL.Query().Get("sendInitialEvents") != "" {
			// Clients that are refused list and watch.
			status := metav1.Status{Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: 422}
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(status)
			return
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	meta := metav1.ListMeta{ResourceVersion: "1"}
	var body any
	switch path {
	case "":
		body = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "s":
		body = metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	case "/v1":
		verbs := metav1.Verbs{"get", "list", "watch"}
		body = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1",
			APIResources: []metav1.APIResource{
				{Name: "events", SingularName: "event", Namespaced: true, Kind: "Event", Verbs: verbs},
			},
		}
	case "/v1/pods":
		body = corev1.PodList{
			TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: meta, Items: k.pods[set],
		}
	case "/v1/events":
		body = corev1.EventList{
			TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, ListMeta: meta, Items: k.events[set],
		}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// pod returns the pod of which discovery would find these labels.
func pod(found map[string]string) corev1.Pod {
	const prefix = "__meta_kubernetes_pod_"
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: found["__meta_kubernetes_namespace"], Name: found[prefix+"name"],
			UID: types.UID(found[prefix+"uid"]), Labels: map[string]string{}, Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{
			NodeName:   found[prefix+"node_name"],
			Containers: []corev1.Container{{Name: found[prefix+"container_name"]}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"},
	}
	for name, value := range found {
		if label, ok := strings.CutPrefix(name, prefix+"label_"); ok {
			p.Labels[label] = value
		}
		if annotation, ok := strings.CutPrefix(name, prefix+"annotation_"); ok {
			p.Annotations[annotation] = value
		}
	}
	return p
}

// folderOf returns where the kubelet keeps the logs of a pod's container.
func folderOf(p corev1.Pod) string {
	id := string(p.UID)
	if hash := p.Annotations["kubernetes_io_config_hash"]; hash != "" {
		id = hash
	}
	return filepath.Join(p.Namespace+"_"+p.Name+"_"+id, p.Spec.Containers[0].Name)
}

// firstPod returns the pod whose logs a folder holds.
func firstPod(logs string) (corev1.Pod, error) {
	paths, err := filepath.Glob(filepath.Join(logs, "*_*_*", "*"))
	if err != nil || len(paths) == 0 {
		return corev1.Pod{}, err
	}
	parts := strings.SplitN(filepath.Base(filepath.Dir(paths[0])), "_", 3)
	return pod(map[string]string{
		"__meta_kubernetes_namespace":          parts[0],
		"__meta_kubernetes_pod_name":           parts[1],
		"__meta_kubernetes_pod_uid":            parts[2],
		"__meta_kubernetes_pod_container_name": filepath.Base(paths[0]),
	}), nil
}
