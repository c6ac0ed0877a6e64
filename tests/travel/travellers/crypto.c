// libcrypto, which chooses its code by CPUID when it is loaded: known answers, and encryption that must come back.
#include <dlfcn.h>

#include "string_work.h"

typedef struct evp_cipher_ctx_st Context;
typedef struct evp_cipher_st Cipher;
static unsigned char* (*sha256)(const unsigned char*, size_t, unsigned char*);
static Context* (*context_new)(void);
static void (*context_free)(Context*);
static const Cipher* (*aes_256_cbc)(void);
static const Cipher* (*aes_128_gcm)(void);
static const Cipher* (*chacha20)(void);
static int (*start)(Context*, const Cipher*, void*, const unsigned char*, const unsigned char*, int);
static int (*update)(Context*, unsigned char*, int*, const unsigned char*, int);
static int (*finish)(Context*, unsigned char*, int*);

static void* library;

// dlsym gives a pointer to data, and POSIX says that it may be taken for one to a function.
static void find(void* place, const char* name) {
    void* found = dlsym(library, name);
    CHECK(found != NULL);
    memcpy(place, &found, sizeof found);
}

static void there_and_back(const Cipher* cipher, uint32_t* state) {
    unsigned char key[32];
    unsigned char vector[16];
    unsigned char plain[512];
    unsigned char secret[600];
    unsigned char again[600];
    for (unsigned i = 0; i < 32; ++i) key[i] = (unsigned char)next_random(state);
    for (unsigned i = 0; i < 16; ++i) vector[i] = (unsigned char)next_random(state);
    const int length = (int)(next_random(state) % sizeof plain);
    for (int i = 0; i < length; ++i) plain[i] = (unsigned char)next_random(state);
    int written = 0;
    int rest = 0;
    Context* context = context_new();
    CHECK(context && start(context, cipher, NULL, key, vector, 1) == 1);
    CHECK(update(context, secret, &written, plain, length) == 1 && finish(context, secret + written, &rest) == 1);
    const int total = written + rest;
    context_free(context);
    context = context_new();
    CHECK(context && start(context, cipher, NULL, key, vector, 0) == 1);
    CHECK(update(context, again, &written, secret, total) == 1);
    if (cipher != aes_128_gcm()) {  // which would want the tag here
        CHECK(finish(context, again + written, &rest) == 1);
        written += rest;
    }
    context_free(context);
    CHECK(written == length && memcmp(plain, again, (size_t)length) == 0);
}

static void hash(void) {
    static const unsigned char abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                          0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    unsigned char digest[32];
    CHECK(sha256((const unsigned char*)"abc", 3, digest) != NULL && memcmp(digest, abc, 32) == 0);
}

static void work(uint32_t* state) {
    hash();
    there_and_back(aes_256_cbc(), state);
    there_and_back(aes_128_gcm(), state);
    string_work(state);
}

static void another_cipher(void) {
    uint32_t state = 99;
    find(&chacha20, "EVP_chacha20");
    for (int i = 0; i < 20; ++i) there_and_back(chacha20(), &state);
}

int main(void) {
    library = dlopen("libcrypto.so.3", RTLD_LAZY);
    if (library == NULL) {
        dprintf(1, "wrong: %s\n", dlerror());
        return 1;
    }
    find(&sha256, "SHA256");
    find(&context_new, "EVP_CIPHER_CTX_new");
    find(&context_free, "EVP_CIPHER_CTX_free");
    find(&aes_256_cbc, "EVP_aes_256_cbc");
    find(&aes_128_gcm, "EVP_aes_128_gcm");
    find(&start, "EVP_CipherInit_ex");
    find(&update, "EVP_CipherUpdate");
    find(&finish, "EVP_CipherFinal_ex");
    return travel(work, another_cipher);
}
