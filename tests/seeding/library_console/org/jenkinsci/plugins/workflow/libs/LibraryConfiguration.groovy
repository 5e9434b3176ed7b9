package org.jenkinsci.plugins.workflow.libs

class LibraryConfiguration {
    private final String name
    private final Object retriever
    String defaultVersion
    boolean implicit
    boolean allowVersionOverride = true
    Boolean includeInChangesets = true
    Object cachingConfiguration

    LibraryConfiguration(String name, Object retriever) { this.name = name; this.retriever = retriever }
    String getName() { return name }
    Object getRetriever() { return retriever }
}
