// Runs the controllers of cert-manager that issue certificates by ACME: its own command is a module
// that the Go module proxy does not serve. This one starts the same packages with the configuration
// file that the chart mounts, whose defaults are those of cert-manager, and with the flags below,
// which are cert-manager's own. No other process may act for it, so it needs not be elected.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"time"

	"github.com/cert-manager/cert-manager/pkg/apis/config/controller/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	shimgateways "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/gateways"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
)

// How many workers each controller has, by default.
const workers = 5

var (
	kubeconfig    = flag.String("kubeconfig", "", "path of a kubeconfig")
	configuration = flag.String("config", "", "path of a ControllerConfiguration")
	metrics       = flag.String("metrics-listen-address", "", "where metrics are served")
	solver        = flag.String("acme-http01-solver-image", "", "image of a solver's pod")
	namespace     = flag.String("cluster-resource-namespace", "", "where Secrets of ClusterIssuers are")
	challenges    = flag.Int("max-concurrent-challenges", 60, "how many challenges are under way")
	retry         = flag.Duration("dns01-check-retry-period", 10*time.Second, "how often a challenge is tried")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	text, err := os.ReadFile(*configuration)
	if err != nil {
		return err
	}
	var config v1alpha1.ControllerConfiguration
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return err
	}
	http01 := config.ACMEHTTP01Config
	gateways := isTrue(config.GatewayAPIConfig.Enabled) || isTrue(config.EnableGatewayAPI)
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig: *kubeconfig,
		ACMEOptions: controller.ACMEOptions{
			HTTP01SolverImage:                 *solver,
			HTTP01SolverResourceRequestCPU:    quantity(http01.SolverResourceRequestCPU, "10m"),
			HTTP01SolverResourceRequestMemory: quantity(http01.SolverResourceRequestMemory, "64Mi"),
			HTTP01SolverResourceLimitsCPU:     quantity(http01.SolverResourceLimitsCPU, "100m"),
			HTTP01SolverResourceLimitsMemory:  quantity(http01.SolverResourceLimitsMemory, "64Mi"),
			ACMEHTTP01SolverRunAsNonRoot:      http01.SolverRunAsNonRoot == nil || *http01.SolverRunAsNonRoot,
			HTTP01SolverNameservers:           http01.SolverNameservers,
			DNS01CheckRetryPeriod:             *retry,
		},
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: *namespace},
		CertificateOptions: controller.CertificateOptions{
			EnableOwnerRef:                           isTrue(config.EnableCertificateOwnerRef),
			CopiedAnnotationPrefixes:                 config.CopiedAnnotationPrefixes,
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: *challenges},
		ConfigOptions:    controller.ConfigOptions{EnableGatewayAPI: gateways},
	})
	if err != nil {
		return err
	}
	return start(ctx, factory, gateways)
}

func start(ctx context.Context, factory *controller.ContextFactory, gateways bool) error {
	root, err := factory.Build()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, construct := range controller.Known() {
		if name == shimgateways.ControllerName && !gateways {
			continue
		}
		one, err := construct(factory)
		if err != nil {
			return err
		}
		group.Go(func() error { return one.Run(workers, ctx) })
	}
	certificates := root.SharedInformerFactory.Certmanager().V1()
	root.Metrics.SetupACMECollector(root.SharedInformerFactory.Acme().V1().Challenges().Lister())
	root.Metrics.SetupCertificateCollector(certificates.Certificates().Lister())
	root.Metrics.SetupIssuerCollector(certificates.Issuers().Lister())
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	if gateways {
		root.GWShared.Start(ctx.Done())
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *metrics)
	if err != nil {
		return err
	}
	group.Go(func() error { return root.Metrics.NewServer(listener).Serve(listener) })
	return group.Wait()
}

func isTrue(value *bool) bool {
	return value != nil && *value
}

// quantity returns a quantity of the configuration, or cert-manager's default.
func quantity(text, otherwise string) resource.Quantity {
	if text == "" {
		text = otherwise
	}
	return resource.MustParse(text)
}
