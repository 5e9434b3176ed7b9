package com.cloudbees.groovy.cps

// What Jenkins runs in one go, and not as a program that can be interrupted and kept.
@interface NonCPS { }
