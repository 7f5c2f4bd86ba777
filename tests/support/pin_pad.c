/* A PKCS#11 module as that of a reader with a PIN pad: SoftHSM2's, but for a flag of every token, which says that its PIN is typed at the reader
   (PKCS #11 version 3.1, section 3.2, CKF_PROTECTED_AUTHENTICATION_PATH). */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define CKF_PROTECTED_AUTHENTICATION_PATH 0x100UL
#define FUNCTIONS 68

typedef unsigned long CK_RV;

/* Two bytes of version, then pointers in the standard's order. */
struct function_list {
    unsigned char version[2];
    void *functions[FUNCTIONS];
};

/* Texts of 32, 32, 16 and 16 bytes come before the flags. */
struct token_info {
    unsigned char texts[96];
    unsigned long flags;
};

enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6 };

static struct function_list ours;
static CK_RV (*get_token_info)(unsigned long, struct token_info *);

static CK_RV token_info(unsigned long slot, struct token_info *info) {
    CK_RV result = get_token_info(slot, info);
    if (result == 0) info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
    return result;
}

CK_RV C_GetFunctionList(struct function_list **list) {
    struct function_list *theirs;
    void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(struct function_list **) = module ? (CK_RV (*)(struct function_list **))dlsym(module, "C_GetFunctionList") : NULL;
    if (get == NULL || get(&theirs) != 0) return 6; /* CKR_FUNCTION_FAILED */
    memcpy(&ours, theirs, sizeof ours);
    get_token_info = (CK_RV (*)(unsigned long, struct token_info *))ours.functions[GET_TOKEN_INFO];
    ours.functions[GET_TOKEN_INFO] = (void *)token_info;
    ours.functions[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
    *list = &ours;
    return 0;
}
