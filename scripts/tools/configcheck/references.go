package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// references are the keys of Secrets and ConfigMaps that objects name, by namespace and name. Whether they exist is
// not known here, and checked elsewhere; the operator only reads on if they do.
type references map[[2]string][]string

func (r references) add(namespace string, value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			r.add(namespace, item)
		}
	case map[string]any:
		name, named := value["name"].(string)
		key, keyed := value["key"].(string)
		if named && keyed {
			r[[2]string{namespace, name}] = append(r[[2]string{namespace, name}], key)
		}
		for _, item := range value {
			r.add(namespace, item)
		}
	}
}

// objects returns Secrets and ConfigMaps with these keys.
func (r references) objects() []any {
	var found []any
	for place, keys := range r {
		meta := metav1.ObjectMeta{Namespace: place[0], Name: place[1]}
		secret := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{}}
		config := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{}}
		for _, key := range keys {
			secret.Data[key], config.Data[key] = certificate(), string(certificate())
		}
		found = append(found, secret, config)
	}
	return found
}

// certificate returns a certificate and its key, so that it is a valid value of each.
var certificate = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})...)
})
