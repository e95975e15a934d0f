module go.opentelemetry.io/collector/scraper/scraperhelper

go 1.26.0
